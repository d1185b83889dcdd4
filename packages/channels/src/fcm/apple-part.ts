import { alertOf, apsOf, collapseIdOf } from '../aps.js'
import { liveActivityAps } from '../live-activity.js'
import type { OutgoingFor, OutgoingTo } from '../message.js'
import { isHidden } from '../visibility.js'

/** What FCM hands on to APNs for an iOS app. FCM adds the words, but for what only Apple knows. */
export function fcmApplePart(
  { message, notificationId }: OutgoingFor<'fcm'>,
  nowMs: number,
  seconds: number,
): Record<string, unknown> {
  const hidden = isHidden(message)
  const headers: Record<string, string> = {
    'apns-expiration': expiration(nowMs, seconds),
    'apns-priority': hidden || message.priority === 'normal' ? '5' : '10',
  }
  if (hidden) headers['apns-push-type'] = 'background'
  if (!hidden || message.collapseKey !== undefined) {
    headers['apns-collapse-id'] = collapseIdOf(message, notificationId)
  }
  const ownWords = message.subtitle !== undefined || message.dataOnly === true
  return { headers, payload: { aps: apsOf(message, ownWords ? alertOf(message) : undefined) } }
}

/** A Live Activity through FCM, which knows its topic and push type. */
export function fcmLiveActivityPart(
  { message, address }: OutgoingTo<'fcm-live-activity'>,
  nowMs: number,
  seconds: number,
): Record<string, unknown> {
  return {
    liveActivityToken: address.activityToken,
    headers: {
      'apns-expiration': expiration(nowMs, seconds),
      'apns-priority': message.priority === 'high' ? '10' : '5',
    },
    payload: { aps: liveActivityAps(message, nowMs) },
  }
}

/** 0: one try, as for a message that lives for no time. */
function expiration(nowMs: number, seconds: number): string {
  return seconds === 0 ? '0' : String(Math.floor(nowMs / 1000) + seconds)
}
