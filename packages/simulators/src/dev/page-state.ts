import type { SimulatorCounters } from '../counters.js'
import type { SimulatedMessage, SimulatedProvider } from '../inbox.js'
import { devicesOf, type PushKind } from '../network.js'
import type { SmtpSimulator } from '../smtp.js'
import type { Simulators } from '../start.js'
import { type Outage, outagesOf } from './outages.js'
import { type PageMessage, pageMessage } from './page-message.js'

export const PROVIDERS: readonly SimulatedProvider[] = ['fcm', 'apns', 'webpush', 'smtp', 'sms', 'webhook']
export const PUSH_KINDS: readonly PushKind[] = ['fcm', 'apns', 'webpush']
/** Devices shown of each provider; the oldest are left out. */
const SHOWN_DEVICES = 20

/** What there is besides messages: it changes without one, too. */
export interface PageState {
  providers: Record<SimulatedProvider, ProviderState>
  devices: Record<PushKind, DeviceState[]>
}

interface ProviderState {
  broken: boolean
  /** How it is broken. */
  outage: Outage | null
  /** How it can be broken. */
  outages: Outage[]
  counters: { requests: number; accepted: number; refused: number; repeated: number }
  /** Mails that the second server took; absent where there is none. */
  backup?: number
}

interface DeviceState {
  to: string
  name: string
  online: boolean
  state: string
  /** Messages that the provider keeps for it. */
  stored: number
  badge: number | null
  screen: PageMessage[]
}

export interface PageStateSource {
  simulators: Simulators
  outages: ReadonlyMap<SimulatedProvider, Outage>
  backup?: SmtpSimulator | undefined
}

export function pageState(source: PageStateSource): PageState {
  const { simulators } = source
  const arrived = new Map(simulators.inbox.list().map((message) => [message.id, message]))
  const badges = new Map<string, number>()
  for (const message of arrived.values()) {
    const { badge } = pageMessage(message)
    if (badge !== undefined) badges.set(`${message.provider} ${message.to}`, badge)
  }
  const devices = (kind: PushKind): DeviceState[] =>
    devicesOf(simulators, kind)
      .slice(-SHOWN_DEVICES)
      .map(({ to, name, online, state, stored, screen }) => ({
        ...{ to, name, online, state, stored },
        badge: badges.get(`${kind} ${to}`) ?? null,
        screen: screen.map((card) =>
          pageMessage(arrived.get(card.id) ?? ({ ...card, raw: {} } as SimulatedMessage)),
        ),
      }))
  const counters = simulators.counters()
  const states = PROVIDERS.map((provider) => [provider, providerState(provider, counters[provider], source)])
  return {
    providers: Object.fromEntries(states),
    devices: { fcm: devices('fcm'), apns: devices('apns'), webpush: devices('webpush') },
  }
}

function providerState(
  provider: SimulatedProvider,
  { requests, accepted, byStatus, repeated }: SimulatorCounters,
  { simulators, outages, backup }: PageStateSource,
): ProviderState {
  const refused = Object.entries(byStatus).reduce(
    (sum, [status, count]) => (Number(status) >= 400 ? sum + count : sum),
    0,
  )
  const { broken } = simulators[provider].faults
  return {
    broken,
    outage: broken ? (outages.get(provider) ?? 'unavailable') : null,
    outages: outagesOf(provider),
    counters: { requests, accepted, refused, repeated },
    ...(provider === 'smtp' && backup ? { backup: backup.counters.mails } : {}),
  }
}
