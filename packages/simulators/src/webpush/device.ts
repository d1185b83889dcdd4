import { createECDH, type ECDH, randomBytes } from 'node:crypto'
import { type Arriving, fromData, type Inbox, parseRecord, record } from '../inbox.js'
import {
  type ArrivalTotals,
  createReceiver,
  type Receiver,
  receive,
  restoreReceiver,
  type SavedReceiver,
  saveReceiver,
} from '../receiver.js'

/** What a browser's `pushManager.subscribe()` returns. */
export interface PushSubscriptionJson {
  endpoint: string
  keys: { p256dh: string; auth: string }
}

/** A browser's subscription as its push service and the browser know it. */
export interface WebPushDevice extends Receiver {
  id: string
  name: string
  subscription: PushSubscriptionJson
  state: 'subscribed' | 'gone'
  online: boolean
  /** What the push service keeps for an offline browser: one per topic, all of those without. */
  stored: { topic: string | undefined; until: number; message: Arriving }[]
}

/** With the browser's secrets. */
export interface HeldDevice extends WebPushDevice {
  ecdh: ECDH
  auth: Buffer
  applicationServerKey: string
}

export interface WebPushTotals extends ArrivalTotals {
  /** Past their time to live when the browser came back, or with none while it was away. */
  expired: number
  /** Replaced in the store by a newer one of the same topic. */
  collapsed: number
}

export interface WebPushDelivery {
  inbox: Inbox
  totals: WebPushTotals
  now: number
}

export function createWebPushDevice(
  origin: string,
  options: { name: string; applicationServerKey: string },
): HeldDevice {
  const ecdh = createECDH('prime256v1')
  ecdh.generateKeys()
  const auth = randomBytes(16)
  const id = randomBytes(24).toString('base64url')
  const keys = { p256dh: ecdh.getPublicKey('base64url'), auth: auth.toString('base64url') }
  const subscription = { endpoint: `${origin}/push/${id}`, keys }
  const { name, applicationServerKey } = options
  const secrets = { ecdh, auth, applicationServerKey }
  return {
    id,
    name,
    subscription,
    state: 'subscribed',
    online: true,
    stored: [],
    ...secrets,
    ...createReceiver(),
  }
}

/** Shows a message in the browser, or keeps it for `ttlMs`: a topic's last one, and all of those without. */
export function bring(
  device: WebPushDevice,
  message: Arriving,
  ttlMs: number,
  { inbox, totals, now }: WebPushDelivery,
): void {
  if (device.online) {
    inbox.add(message, (arrived) => receive(device, arrived, totals))
    return
  }
  if (ttlMs <= 0) {
    totals.expired++
    return
  }
  const topic = message.collapseKey
  const alive = device.stored.filter((one) => one.until > now)
  const kept = alive.filter((one) => topic === undefined || one.topic !== topic)
  totals.expired += device.stored.length - alive.length
  totals.collapsed += alive.length - kept.length
  device.stored = [...kept, { topic, until: now + ttlMs, message }]
}

/** The browser is back: it gets what is still alive, in order. */
export function comeOnline(device: WebPushDevice, { inbox, totals, now }: WebPushDelivery): void {
  device.online = true
  for (const { until, message } of device.stored.splice(0)) {
    if (until > now) inbox.add(message, (arrived) => receive(device, arrived, totals))
    else totals.expired++
  }
}

/** What a service worker makes of a decrypted payload. A later notification with its tag replaces it. */
export function messageFrom(plain: string, topic: string | undefined, device: WebPushDevice): Arriving {
  const payload = parseRecord(plain)
  const shown = record(payload.notification)
  const actions = Array.isArray(shown.actions) ? shown.actions.map(record) : []
  const ours = fromData(record(shown.data))
  return {
    provider: 'webpush',
    device: device.name,
    to: device.id,
    title: String(shown.title ?? ''),
    body: String(shown.body ?? ''),
    ...(shown.image ? { imageUrl: String(shown.image) } : {}),
    ...(actions.length > 0
      ? {
          actions: actions.map((one) => ({
            id: String(one.action),
            title: String(one.title),
            ...(one.navigate ? { url: String(one.navigate) } : {}),
          })),
        }
      : {}),
    ...ours,
    silent: ours.clears !== undefined,
    ...(topic === undefined ? {} : { collapseKey: topic }),
    ...(shown.tag ? { tag: String(shown.tag) } : {}),
    raw: payload,
  }
}

export type SavedWebPushDevice = Omit<WebPushDevice, keyof Receiver> & {
  privateKey: string
  applicationServerKey: string
  receiver: SavedReceiver
}

export function saveWebPushDevice(device: HeldDevice): SavedWebPushDevice {
  const { id, name, subscription, state, online, stored, applicationServerKey } = device
  return {
    ...{ id, name, subscription, state, online, stored, applicationServerKey },
    privateKey: device.ecdh.getPrivateKey('base64url'),
    receiver: saveReceiver(device),
  }
}

export function restoreWebPushDevice(saved: SavedWebPushDevice): HeldDevice {
  const { privateKey, receiver, ...kept } = saved
  const ecdh = createECDH('prime256v1')
  ecdh.setPrivateKey(privateKey, 'base64url')
  const auth = Buffer.from(kept.subscription.keys.auth, 'base64url')
  return { ...kept, ecdh, auth, ...restoreReceiver(receiver) }
}
