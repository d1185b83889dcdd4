import type { Arriving, Inbox } from '../inbox.js'
import {
  type ArrivalTotals,
  createReceiver,
  type Receiver,
  receive,
  restoreReceiver,
  type SavedReceiver,
  saveReceiver,
} from '../receiver.js'

/** An app on an Android phone. */
export interface FcmDevice extends Receiver {
  token: string
  name: string
  state: 'registered' | 'unregistered' | 'other-sender'
  online: boolean
  /** What FCM keeps while the phone is offline. */
  stored: StoredMessage[]
  /** More than 100 were stored: the app is told so, in place of all of them, once it is online. */
  overflowed: boolean
  /** How often the app was told that messages were deleted. */
  deletedMessages: number
  /** FCM's topics. */
  topics: Set<string>
}

/** A message that a provider keeps for an offline device, until then (milliseconds). */
export type StoredMessage = Arriving & { until: number }

export interface FcmTotals extends ArrivalTotals {
  /** Kept for an offline phone and gone when it came back, or never kept for want of a time to live. */
  expired: number
  /** Replaced in the store by a newer one of the same collapse key, or pushed out by a fifth key. */
  collapsed: number
  /** Dropped because there were more than 100. */
  dropped: number
  deletedMessages: number
}

const MAX_STORED = 100
const MAX_COLLAPSE_KEYS = 4
const MAX_TTL_MS = 28 * 86_400_000

export function createFcmDevice(token: string, name: string): FcmDevice {
  return {
    token,
    name,
    state: 'registered',
    online: true,
    stored: [],
    overflowed: false,
    deletedMessages: 0,
    topics: new Set(),
    ...createReceiver(),
  }
}

export interface FcmDelivery {
  inbox: Inbox
  totals: FcmTotals
  now: number
}

/** Shows a message on the phone, or keeps it as FCM does: per collapse key, at most 4 of them and 100 without. */
export function bring(device: FcmDevice, message: Arriving, ttl: unknown, to: FcmDelivery): void {
  if (device.online) {
    to.inbox.add(message, (arrived) => receive(device, arrived, to.totals))
    return
  }
  const ttlMs = millisecondsOf(ttl)
  if (ttlMs === 0) {
    to.totals.expired++
    return
  }
  store(device, { ...message, until: to.now + ttlMs }, to)
}

function store(device: FcmDevice, message: StoredMessage, { totals, now }: FcmDelivery): void {
  const alive = device.stored.filter((one) => one.until > now)
  totals.expired += device.stored.length - alive.length
  const key = message.collapseKey
  if (key === undefined) {
    if (alive.filter((one) => one.collapseKey === undefined).length < MAX_STORED) {
      device.stored = [...alive, message]
      return
    }
    totals.dropped += alive.length + 1
    device.stored = []
    device.overflowed = true
    return
  }
  const others = alive.filter((one) => one.collapseKey !== key)
  const keyed = others.filter((one) => one.collapseKey !== undefined)
  // which keys stay is not promised; here the oldest goes
  const kept = keyed.length >= MAX_COLLAPSE_KEYS ? others.filter((one) => one !== keyed[0]) : others
  totals.collapsed += alive.length - kept.length
  device.stored = [...kept, message]
}

/** The phone is back: it gets what is still alive, in order, after the word that messages were deleted. */
export function comeOnline(device: FcmDevice, { inbox, totals, now }: FcmDelivery): void {
  device.online = true
  if (device.overflowed) {
    device.overflowed = false
    device.deletedMessages++
    totals.deletedMessages++
    inbox.add(deletedMessages(device))
  }
  for (const { until, ...message } of device.stored.splice(0)) {
    if (until > now) inbox.add(message, (arrived) => receive(device, arrived, totals))
    else totals.expired++
  }
}

/** What makes the app's `onDeletedMessages()` run. */
function deletedMessages(device: FcmDevice): Arriving {
  return {
    provider: 'fcm',
    device: device.name,
    to: device.token,
    title: '',
    body: '',
    silent: true,
    raw: { message_type: 'deleted_messages' },
  }
}

/** A protobuf duration like `3.5s`; absent is as long as FCM keeps anything. */
function millisecondsOf(ttl: unknown): number {
  if (typeof ttl !== 'string' || ttl === '') return MAX_TTL_MS
  const seconds = Number.parseFloat(ttl)
  return Number.isFinite(seconds) ? Math.min(MAX_TTL_MS, Math.max(0, seconds * 1000)) : MAX_TTL_MS
}

export type SavedFcmDevice = Omit<FcmDevice, 'topics' | keyof Receiver> & {
  topics: string[]
  receiver: SavedReceiver
}

export function saveFcmDevice(device: FcmDevice): SavedFcmDevice {
  const { token, name, state, online, stored, overflowed, deletedMessages, topics } = device
  const kept = { token, name, state, online, stored, overflowed, deletedMessages }
  return { ...kept, topics: [...topics], receiver: saveReceiver(device) }
}

export function restoreFcmDevice({ topics, receiver, ...kept }: SavedFcmDevice): FcmDevice {
  return { ...kept, topics: new Set(topics), ...restoreReceiver(receiver) }
}
