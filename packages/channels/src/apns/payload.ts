import { randomUUID } from 'node:crypto'
import { alertOf, apsOf, collapseIdOf } from '../aps.js'
import { deviceData, ownIds } from '../device-data.js'
import type { Measured } from '../fit.js'
import { secondsToLive } from '../lifetime.js'
import { liveActivityAps } from '../live-activity.js'
import { mergeDeep } from '../merge.js'
import type { OutgoingFor } from '../message.js'
import { isHidden } from '../visibility.js'

/** Bytes of a notification's JSON. */
const MAX_BYTES = 4096
const MAX_TTL_SECONDS = 30 * 86_400

export interface ApnsPayload {
  headers: Record<string, string | number>
  body: string
}

type ForApns = OutgoingFor<'apns'>

/** How a message for APNs is measured: the whole body, and nothing of the headers. */
export function apnsMeasured(bundleId: string, nowMs: number): Measured<ForApns, ApnsPayload> {
  return {
    maxBytes: MAX_BYTES,
    build: (candidate) => apnsPayload(candidate, bundleId, nowMs),
    text: ({ body }) => body,
  }
}

/** Our message as APNs wants it. `apns-id` is new on every attempt; `did` in the body is the same. */
export function apnsPayload(outgoing: ForApns, bundleId: string, nowMs: number): ApnsPayload {
  const { message, address, notificationId } = outgoing
  const activity = address.kind === 'apns-live-activity'
  const hidden = !activity && isHidden(message)
  const seconds = secondsToLive(message, nowMs, MAX_TTL_SECONDS)
  const headers: Record<string, string | number> = {
    'apns-topic': activity ? `${bundleId}.push-type.liveactivity` : bundleId,
    'apns-push-type': activity ? 'liveactivity' : hidden ? 'background' : 'alert',
    // Apple refuses a background push with priority 10, and counts 10 against an activity's budget.
    'apns-priority': hidden || message.priority === 'normal' ? 5 : 10,
    'apns-expiration': seconds === 0 ? 0 : Math.floor(nowMs / 1000) + seconds,
    'apns-id': randomUUID(),
  }
  if (!activity && (!hidden || message.collapseKey !== undefined)) {
    headers['apns-collapse-id'] = collapseIdOf(message, notificationId)
  }
  const body = mergeDeep(
    activity ? { aps: liveActivityAps(message, nowMs) } : forPhone(outgoing, hidden),
    message.overrides?.apns,
  )
  return { headers, body: JSON.stringify(Object.assign(body, ownIds(outgoing))) }
}

function forPhone(outgoing: ForApns, hidden: boolean): Record<string, unknown> {
  const { message } = outgoing
  const built: Record<string, unknown> = deviceData(outgoing)
  if (!hidden && message.imageUrl !== undefined) built.image = message.imageUrl
  // Whatever the caller's data calls `aps` is Apple's.
  built.aps = apsOf(message, alertOf(message))
  return built
}
