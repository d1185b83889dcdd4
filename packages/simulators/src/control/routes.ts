import { parseFaultReply, parseFaultRule } from '../fault-rules.js'
import type { Faults } from '../faults.js'
import type { SimulatedMessage, SimulatedProvider } from '../inbox.js'
import { record } from '../inbox.js'
import { devicesOf, networkOf, type PushKind } from '../network.js'
import type { Simulators } from '../start.js'
import { connectionOf } from './connection.js'
import { ControlRequestInvalid } from './errors.js'
import { changeSettings, settingsOf } from './settings.js'

export interface ControlRequest {
  method: string
  /** What the path names, like `faults`. */
  resource: string
  /** The second part of the path. */
  provider: string | undefined
  /** The third, which only faults have: see `FaultPlace`. */
  part: string | undefined
  query: URLSearchParams
  /** JSON; undefined when there was none. */
  body: unknown
  /** The control server's own URL. */
  url: string
}

/** Where faults happen: to a provider's messages, to Google's token endpoint, or once a mail was read. */
export type FaultPlace = SimulatedProvider | 'fcm/token' | 'smtp/content'

const PROVIDERS: readonly SimulatedProvider[] = ['fcm', 'apns', 'webpush', 'smtp', 'sms', 'webhook']
const PUSH_KINDS: readonly string[] = ['fcm', 'apns', 'webpush'] satisfies PushKind[]

type Route = (simulators: Simulators, request: ControlRequest) => unknown
type ProviderRoute = (simulators: Simulators, provider: SimulatedProvider, request: ControlRequest) => unknown

/**
 * What the control server answers, as JSON; undefined when there is no such thing.
 * @throws FaultRuleInvalid or ControlRequestInvalid for a body that makes no sense
 */
export async function answerControl(simulators: Simulators, request: ControlRequest): Promise<unknown> {
  const { method, resource, provider } = request
  if (provider === undefined) return ROUTES[`${method} ${resource}`]?.(simulators, request)
  if (!isProvider(provider)) return undefined
  const faults = faultsAt(simulators, request.part === undefined ? provider : `${provider}/${request.part}`)
  const faultRoute = FAULT_ROUTES[`${method} ${resource}`]
  if (faultRoute) return faults && faultRoute(faults, request)
  if (request.part !== undefined) return undefined
  return PROVIDER_ROUTES[`${method} ${resource}`]?.(simulators, provider, request)
}

export function isProvider(name: string): name is SimulatedProvider {
  return (PROVIDERS as readonly string[]).includes(name)
}

const ROUTES: Readonly<Record<string, Route>> = {
  'GET connection': (simulators, { url }) => connectionOf(simulators, url),
  'GET counters': (simulators) => simulators.counters(),
  'GET messages': (simulators, { query }) => ({ messages: chosen(simulators.inbox.list(), query) }),
  'POST reset': (simulators) => {
    simulators.reset()
    return { reset: true }
  },
}

const FAULT_ROUTES: Readonly<Record<string, (faults: Faults, request: ControlRequest) => unknown>> = {
  'GET faults': viewOf,
  'POST faults': (faults, { body }) => {
    const given = Array.isArray(body) ? body : [body]
    faults.rules.push(...given.map(parseFaultRule))
    return viewOf(faults)
  },
  'DELETE faults': (faults, { query }) => {
    const id = query.get('id')
    const left = id === null ? [] : faults.rules.filter((rule) => rule.id !== id)
    faults.rules.splice(0, faults.rules.length, ...left)
    return viewOf(faults)
  },
  'POST break': (faults, { body }) => {
    const { reply } = record(body)
    faults.break(reply === undefined ? undefined : parseFaultReply(reply))
    return viewOf(faults)
  },
  'POST heal': (faults) => {
    faults.heal()
    return viewOf(faults)
  },
}

const PROVIDER_ROUTES: Readonly<Record<string, ProviderRoute>> = {
  'POST cut': (simulators, provider, { body }) => {
    const { how = 'fin' } = record(body)
    if (how !== 'fin' && how !== 'rst') throw new ControlRequestInvalid('how')
    if (provider === 'smtp') simulators.smtp.cut()
    else simulators[provider].server.cut(how)
    return { cut: true }
  },
  'POST goaway': (simulators, provider) => {
    if (provider === 'smtp') return undefined
    simulators[provider].server.goAway()
    return { goaway: true }
  },
  'GET settings': settingsOf,
  'PATCH settings': (simulators, provider, { body }) => {
    changeSettings(simulators, provider, record(body))
    return settingsOf(simulators, provider)
  },
  'GET devices': async (simulators, provider, { query }) => {
    const to = query.get('to')
    if (to === null) {
      return { devices: devicesOf(simulators, provider).map(({ screen: _cards, ...summary }) => summary) }
    }
    if (isPush(provider)) return networkOf(simulators).device(provider, to)
    return devicesOf(simulators, provider).find((device) => device.to === to)
  },
  'POST devices': (simulators, provider, { body }) =>
    isPush(provider) ? networkOf(simulators).registerDevice(provider, record(body)) : undefined,
  'PATCH devices': (simulators, provider, { body }) => {
    const { to, ...change } = record(body)
    if (typeof to !== 'string') throw new ControlRequestInvalid('to')
    return isPush(provider) ? networkOf(simulators).changeDevice(provider, to, change) : undefined
  },
}

function faultsAt(simulators: Simulators, place: string): Faults | undefined {
  if (place === 'fcm/token') return simulators.fcm.tokenFaults
  if (place === 'smtp/content') return simulators.smtp.contentFaults
  return isProvider(place) ? simulators[place].faults : undefined
}

function viewOf({ broken, latencyMs, rules }: Faults) {
  const shown = rules.map(({ match, ...rule }) => ({
    ...rule,
    ...(match === undefined ? {} : { match: typeof match === 'function' ? 'function' : match }),
  }))
  return { broken, latencyMs, rules: shown }
}

function isPush(provider: SimulatedProvider): provider is PushKind {
  return PUSH_KINDS.includes(provider)
}

const FILTERS = ['provider', 'to', 'nid', 'did'] as const

/** Those of a provider, address, notification or delivery, after an id, the newest `limit` of them. */
export function chosen(messages: readonly SimulatedMessage[], query: URLSearchParams): SimulatedMessage[] {
  const after = query.get('after')
  const from = after === null ? 0 : messages.findIndex((message) => message.id === after) + 1
  const wanted = FILTERS.flatMap((key) => {
    const value = query.get(key)
    return value === null ? [] : [[key, value] as const]
  })
  const found = messages
    .slice(from)
    .filter((message) => wanted.every(([key, value]) => message[key] === value))
  const limit = Number(query.get('limit') ?? found.length)
  if (!Number.isInteger(limit) || limit < 0) throw new ControlRequestInvalid('limit')
  return limit === 0 ? [] : found.slice(-limit)
}
