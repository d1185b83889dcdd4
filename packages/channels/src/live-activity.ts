import type { Message } from './message.js'

const seconds = (milliseconds: number) => Math.floor(milliseconds / 1000)

/**
 * The `aps` of a Live Activity, as APNs and FCM carry it.
 * Source: Apple, "Starting and updating Live Activities with ActivityKit push notifications".
 */
export function liveActivityAps(message: Message, nowMs: number): Record<string, unknown> {
  const { liveActivity, title, body, sound, relevanceScore } = message
  if (!liveActivity) return {}
  const { event, contentState, attributesType, attributes, at, staleAt, dismissAt } = liveActivity
  const words = title !== undefined || body !== undefined
  return {
    timestamp: seconds(at ?? nowMs),
    event,
    'content-state': contentState,
    ...(attributesType === undefined ? {} : { 'attributes-type': attributesType }),
    ...(attributesType === undefined ? {} : { attributes: attributes ?? {} }),
    ...(staleAt === undefined ? {} : { 'stale-date': seconds(staleAt) }),
    ...(dismissAt === undefined ? {} : { 'dismissal-date': seconds(dismissAt) }),
    ...(relevanceScore === undefined ? {} : { 'relevance-score': relevanceScore }),
    ...(words ? { alert: { title: title ?? '', body: body ?? '' } } : {}),
    ...(words && sound !== undefined ? { sound } : {}),
  }
}

/** What is missing for a Live Activity; the phone would ignore it without a word. */
export function liveActivityProblem(message: Message): string | undefined {
  const { liveActivity } = message
  if (!liveActivity) return 'LIVE_ACTIVITY_MISSING'
  if (liveActivity.event !== 'start') return undefined
  return liveActivity.attributesType && message.title ? undefined : 'LIVE_ACTIVITY_INCOMPLETE'
}
