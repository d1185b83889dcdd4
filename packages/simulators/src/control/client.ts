import type { SimulatorCounters } from '../counters.js'
import type { FaultRuleData } from '../fault-rules.js'
import type { FaultReply } from '../faults.js'
import { createFollowHub } from '../follow-hub.js'
import type { SimulatedMessage, SimulatedProvider } from '../inbox.js'
import type { DeviceSummary, PushNetwork } from '../network.js'
import type { SimulatorsConnection } from './connection.js'
import { ControlFailed } from './errors.js'
import { followMessages } from './follow.js'
import type { FaultPlace } from './routes.js'
import type { ProviderSettings } from './settings.js'

export interface FaultsView {
  broken: boolean
  latencyMs: number
  /** `times` and `after` as they are left. A rule that matches by a function shows the word. */
  rules: (Omit<FaultRuleData, 'match'> & { match?: FaultRuleData['match'] | 'function' })[]
}

export interface MessageQuery {
  provider?: SimulatedProvider
  to?: string
  nid?: string
  did?: string
  /** Only those after the message with this id. */
  after?: string
  /** The newest of them. */
  limit?: number
}

/** Simulators in another process, by their control server. Every call throws ControlFailed when it is refused. */
export interface ControlClient extends PushNetwork {
  readonly url: string
  connection(): Promise<SimulatorsConnection>
  counters(): Promise<Record<SimulatedProvider, SimulatorCounters>>
  messages(query?: MessageQuery): Promise<SimulatedMessage[]>
  /** Without what they show: see `device`. */
  devices(provider: SimulatedProvider): Promise<DeviceSummary[]>
  faults(place: FaultPlace): Promise<FaultsView>
  addFaults(place: FaultPlace, ...rules: FaultRuleData[]): Promise<FaultsView>
  /** Removes the rules with that id, or all. */
  clearFaults(place: FaultPlace, id?: string): Promise<FaultsView>
  break(place: FaultPlace, reply?: FaultReply): Promise<FaultsView>
  heal(place: FaultPlace): Promise<FaultsView>
  cut(provider: SimulatedProvider, how: 'fin' | 'rst'): Promise<void>
  goAway(provider: Exclude<SimulatedProvider, 'smtp'>): Promise<void>
  settings(provider: SimulatedProvider, change?: ProviderSettings): Promise<ProviderSettings>
  reset(): Promise<void>
}

/** Speaks to a control server; nothing is kept open but by `follow()`. */
export function connectControl(url: string): ControlClient {
  const hub = createFollowHub((listener) => followMessages(url, listener))
  const call = async (method: string, path: string, body?: unknown): Promise<Response> => {
    try {
      const json = { 'content-type': 'application/json' }
      const sent = body === undefined ? {} : { headers: json, body: JSON.stringify(body) }
      return await fetch(url + path, { method, ...sent })
    } catch (error) {
      throw new ControlFailed(0, `${url} can't be reached`, { cause: error })
    }
  }
  const ask = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const response = await call(method, path, body)
    const answer: unknown = await response.json()
    if (response.ok) return answer as T
    const { detail } = answer as { detail?: string }
    throw new ControlFailed(response.status, detail ?? `${method} ${path} answered ${response.status}`)
  }
  const orUndefined = async <T>(asked: Promise<T>): Promise<T | undefined> => {
    try {
      return await asked
    } catch (error) {
      if (error instanceof ControlFailed && error.status === 404) return undefined
      throw error
    }
  }
  return {
    url,
    connection: () => ask('GET', '/connection'),
    counters: () => ask('GET', '/counters'),
    async messages(query = {}) {
      const search = new URLSearchParams()
      for (const [key, value] of Object.entries(query)) search.set(key, String(value))
      return (await ask<{ messages: SimulatedMessage[] }>('GET', `/messages?${search}`)).messages
    },
    devices: async (provider) =>
      (await ask<{ devices: DeviceSummary[] }>('GET', `/devices/${provider}`)).devices,
    device: (kind, to) => orUndefined(ask('GET', `/devices/${kind}?${new URLSearchParams({ to })}`)),
    registerDevice: (kind, options = {}) => ask('POST', `/devices/${kind}`, options),
    changeDevice: (kind, to, change) => orUndefined(ask('PATCH', `/devices/${kind}`, { to, ...change })),
    follow: hub.follow,
    faults: (provider) => ask('GET', `/faults/${provider}`),
    addFaults: (provider, ...rules) => ask('POST', `/faults/${provider}`, rules),
    clearFaults: (provider, id) =>
      ask('DELETE', `/faults/${provider}${id === undefined ? '' : `?${new URLSearchParams({ id })}`}`),
    break: (provider, reply) => ask('POST', `/break/${provider}`, reply === undefined ? {} : { reply }),
    heal: (provider) => ask('POST', `/heal/${provider}`, {}),
    cut: async (provider, how) => void (await ask('POST', `/cut/${provider}`, { how })),
    goAway: async (provider) => void (await ask('POST', `/goaway/${provider}`, {})),
    settings: (provider, change) =>
      change === undefined
        ? ask('GET', `/settings/${provider}`)
        : ask('PATCH', `/settings/${provider}`, change),
    reset: async () => void (await ask('POST', '/reset', {})),
  }
}
