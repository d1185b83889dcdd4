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
import { activityOf } from './message.js'

/** An app on an iPhone, or one Live Activity of it, which has a token of its own. */
export interface ApnsDevice extends Receiver {
  token: string
  name: string
  kind: 'app' | 'liveactivity'
  environment: 'production' | 'sandbox'
  state: 'registered' | 'unregistered'
  /** Milliseconds; sent with 410. */
  unregisteredAt: number | undefined
  online: boolean
  /** APNs keeps one notification per app for an offline phone, until then (milliseconds). */
  stored: (Arriving & { until: number }) | undefined
  /** When background pushes woke the app in the last hour, in milliseconds. */
  woken: number[]
  /** Background pushes that the phone dropped, as there were more than three in an hour. */
  backgroundDropped: number
  /** The newest state of a Live Activity, in seconds; older ones are ignored. */
  activityAt: number
}

export interface ApnsTotals extends ArrivalTotals {
  /** Past their expiration, or not to be kept for an offline phone. */
  expired: number
  /** Replaced in the store by a newer one. */
  collapsed: number
  backgroundDropped: number
  activityIgnored: number
}

export interface ApnsDelivery {
  inbox: Inbox
  totals: ApnsTotals
  now: number
}

const MAX_STORED_MS = 30 * 86_400_000
const WAKES_AN_HOUR = 3
const HOUR_MS = 3_600_000

export function createApnsDevice(
  token: string,
  options: { name: string; kind: 'app' | 'liveactivity'; environment: 'production' | 'sandbox' },
): ApnsDevice {
  return {
    token,
    ...options,
    state: 'registered',
    unregisteredAt: undefined,
    online: true,
    stored: undefined,
    woken: [],
    backgroundDropped: 0,
    activityAt: 0,
    ...createReceiver(),
  }
}

/**
 * Shows a notification or keeps it: one per app, the last wins. `expiration` is seconds since the epoch: 0 is one
 * try, what is past is dropped, absent is as long as APNs keeps anything.
 */
export function bring(
  device: ApnsDevice,
  message: Arriving,
  expiration: string | undefined,
  to: ApnsDelivery,
): void {
  const now = expiration === '0'
  const until = expiration === undefined || now ? to.now + MAX_STORED_MS : Number(expiration) * 1000
  if (until <= to.now) {
    to.totals.expired++
    return
  }
  if (device.online) {
    show(device, message, to)
    return
  }
  if (now) {
    to.totals.expired++
    return
  }
  if (device.stored) to.totals[device.stored.until > to.now ? 'collapsed' : 'expired']++
  device.stored = { ...message, until }
}

/** The phone is back: it gets the one notification that was kept, if it is still alive. */
export function comeOnline(device: ApnsDevice, to: ApnsDelivery): void {
  device.online = true
  const { stored } = device
  device.stored = undefined
  if (!stored) return
  const { until, ...message } = stored
  if (until > to.now) show(device, message, to)
  else to.totals.expired++
}

function show(device: ApnsDevice, message: Arriving, { inbox, totals, now }: ApnsDelivery): void {
  if (message.silent) {
    device.woken = device.woken.filter((at) => at > now - HOUR_MS)
    if (device.woken.length >= WAKES_AN_HOUR) {
      device.backgroundDropped++
      totals.backgroundDropped++
      return
    }
    device.woken.push(now)
  }
  const activity = activityOf(message, now)
  if (activity && activity.timestamp < device.activityAt) {
    totals.activityIgnored++
    return
  }
  if (activity) device.activityAt = activity.timestamp
  inbox.add(message, (arrived) => {
    receive(device, arrived, totals)
    if (activity?.gone) device.screen = device.screen.filter((card) => card.tag !== message.tag)
  })
}

export type SavedApnsDevice = Omit<ApnsDevice, keyof Receiver | 'stored' | 'unregisteredAt'> & {
  stored: ApnsDevice['stored'] | null
  unregisteredAt: number | null
  receiver: SavedReceiver
}

export function saveApnsDevice(device: ApnsDevice): SavedApnsDevice {
  const { token, name, kind, environment, state, online, woken, backgroundDropped, activityAt } = device
  return {
    ...{ token, name, kind, environment, state, online, woken, backgroundDropped, activityAt },
    stored: device.stored ?? null,
    unregisteredAt: device.unregisteredAt ?? null,
    receiver: saveReceiver(device),
  }
}

export function restoreApnsDevice(saved: SavedApnsDevice): ApnsDevice {
  const { receiver, stored, unregisteredAt, ...kept } = saved
  return {
    ...kept,
    stored: stored ?? undefined,
    unregisteredAt: unregisteredAt ?? undefined,
    ...restoreReceiver(receiver),
  }
}
