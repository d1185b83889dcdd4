import type { SimulatorRequest } from '../https-server.js'
import { type Arriving, actionsFrom, fromData, parseRecord, record } from '../inbox.js'
import type { ApnsDevice } from './device.js'

/** What the phone makes of a notification. A later one with its collapse id replaces it on the screen. */
export function messageFrom({ headers, body }: SimulatorRequest, device: ApnsDevice): Arriving {
  const payload = parseRecord(body.toString('utf8'))
  const aps = record(payload.aps)
  if (headers['apns-push-type'] === 'liveactivity') return activityFrom({ headers, payload, aps }, device)
  const alert = typeof aps.alert === 'string' ? { title: aps.alert } : record(aps.alert)
  const collapseId = headers['apns-collapse-id']
  return {
    provider: 'apns',
    device: device.name,
    to: device.token,
    title: String(alert.title ?? ''),
    body: String(alert.body ?? ''),
    ...(alert.subtitle ? { subtitle: String(alert.subtitle) } : {}),
    ...(payload.image ? { imageUrl: String(payload.image) } : {}),
    ...actionsFrom(payload),
    ...fromData(payload),
    silent: headers['apns-push-type'] === 'background',
    ...(collapseId ? { collapseKey: collapseId, tag: collapseId } : {}),
    raw: { headers, payload },
  }
}

interface ActivityPush {
  headers: Record<string, string>
  payload: Record<string, unknown>
  aps: Record<string, unknown>
}

/** One card that every update replaces: the title when it alerts, and the state that the app would draw. */
function activityFrom({ headers, payload, aps }: ActivityPush, device: ApnsDevice): Arriving {
  const alert = record(aps.alert)
  return {
    provider: 'apns',
    device: device.name,
    to: device.token,
    title: String(alert.title ?? 'Live Activity'),
    body: String(alert.body ?? JSON.stringify(aps['content-state'] ?? {})),
    ...fromData(payload),
    silent: false,
    tag: `activity:${device.token}`,
    raw: { headers, payload },
  }
}

/** When a Live Activity's state was true, in seconds, and whether its card goes away now. */
export function activityOf(message: Arriving, now: number): { timestamp: number; gone: boolean } | undefined {
  const raw = record(message.raw)
  if (record(raw.headers)['apns-push-type'] !== 'liveactivity') return undefined
  const aps = record(record(raw.payload).aps)
  const dismissal = aps['dismissal-date']
  const gone = aps.event === 'end' && typeof dismissal === 'number' && dismissal * 1000 <= now
  return { timestamp: Number(aps.timestamp ?? 0), gone }
}
