import { createFollowHub } from './follow-hub.js'
import type { ShownMessage, SimulatedMessage, SimulatedProvider } from './inbox.js'
import type { Receiver } from './receiver.js'
import type { Simulators } from './start.js'
import type { PushSubscriptionJson } from './webpush/device.js'

/** Providers whose devices register. */
export type PushKind = 'fcm' | 'apns' | 'webpush'

export interface RegisterOptions {
  name?: string
  /** FCM and APNs; made up when absent. */
  token?: string
  /** APNs. */
  environment?: 'production' | 'sandbox'
  /** APNs: a Live Activity has a token of its own. */
  kind?: 'app' | 'liveactivity'
  /** Web Push. */
  applicationServerKey?: string
}

/** A device as data. */
export interface DeviceView extends DeviceSummary {
  /** What is on the screen, oldest first. */
  screen: readonly ShownMessage[]
}

/** A device without what it shows. */
export interface DeviceSummary {
  provider: SimulatedProvider
  /** Token, subscription id, mail address, number or path. */
  to: string
  name: string
  state: string
  online: boolean
  /** Messages that the provider keeps for it now. */
  stored: number
  received: number
  repeated: number
  shownTwice: number
  /** Cards on the screen. */
  shown: number
  /** Web Push. */
  subscription?: PushSubscriptionJson
  /** FCM. */
  topics?: string[]
  /** FCM: how often the app was told that messages were deleted. */
  deletedMessages?: number
  /** APNs: background pushes over the phone's budget. */
  backgroundDropped?: number
}

export interface DeviceChange {
  online?: boolean
  /** The app was deleted, at `at` milliseconds (APNs tells it). */
  unregistered?: true
  at?: number
  /** The person took this notification off the screen, by opening or dismissing it. */
  dismiss?: string
}

/** What phones and browsers reach, in this process or through the control server. */
export interface PushNetwork {
  registerDevice(kind: PushKind, options?: RegisterOptions): Promise<DeviceView>
  /** Undefined when there is no such device. */
  changeDevice(kind: PushKind, to: string, change: DeviceChange): Promise<DeviceView | undefined>
  device(kind: PushKind, to: string): Promise<DeviceView | undefined>
  /** Calls for each arrival on any device, or on that one, from now on, until disposed. */
  follow(listener: (message: SimulatedMessage) => void, to?: string): Promise<AsyncDisposable>
}

/** The network of simulators in this process. */
export function networkOf(simulators: Simulators): PushNetwork {
  const hub = createFollowHub(async (listener) => {
    const stop = simulators.inbox.onMessage(listener)
    return { [Symbol.asyncDispose]: async () => stop() }
  })
  const find = (kind: PushKind, to: string) => simulators[kind].device(to)
  return {
    async registerDevice(kind, options = {}) {
      return viewOf(kind, simulators[kind].registerDevice(options))
    },
    async changeDevice(kind, to, { online, unregistered, at, dismiss }) {
      const device = find(kind, to)
      if (!device) return undefined
      if (unregistered) simulators[kind].unregister(to, at ?? Date.now())
      if (online !== undefined) simulators[kind].setOnline(to, online)
      if (dismiss !== undefined) device.screen = device.screen.filter(({ nid }) => nid !== dismiss)
      return viewOf(kind, device)
    },
    async device(kind, to) {
      const device = find(kind, to)
      return device && viewOf(kind, device)
    },
    follow: hub.follow,
  }
}

/** All devices of a provider; for mail, texts and webhooks the addresses that got something. */
export function devicesOf(simulators: Simulators, provider: SimulatedProvider): DeviceView[] {
  switch (provider) {
    case 'fcm':
    case 'apns':
    case 'webpush':
      return simulators[provider].devices().map((device) => viewOf(provider, device))
    case 'smtp':
      return simulators.smtp.mailboxes.list().map((one) => addressView(provider, ...one))
    case 'sms':
      return simulators.sms.numbers.list().map((one) => addressView(provider, ...one))
    case 'webhook':
      return simulators.webhook.paths.list().map((one) => addressView(provider, ...one))
  }
}

type AnyDevice = ReturnType<Simulators[PushKind]['registerDevice']>

function viewOf(provider: PushKind, device: AnyDevice): DeviceView {
  const { name, state, online, stored } = device
  const kept = Array.isArray(stored) ? stored.length : stored === undefined ? 0 : 1
  const common = { provider, name, state, online, stored: kept, ...got(device) }
  if ('subscription' in device) return { ...common, to: device.id, subscription: device.subscription }
  const { token: to } = device
  if ('topics' in device) {
    return { ...common, to, topics: [...device.topics], deletedMessages: device.deletedMessages }
  }
  return { ...common, to, backgroundDropped: device.backgroundDropped }
}

function addressView(provider: SimulatedProvider, to: string, receiver: Receiver): DeviceView {
  return { provider, to, name: to, state: 'registered', online: true, stored: 0, ...got(receiver) }
}

function got({ received, repeated, shownTwice, screen }: Receiver) {
  return { received, repeated, shownTwice, shown: screen.length, screen: [...screen] }
}
