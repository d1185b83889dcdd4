import type { SimulatedProvider } from '../inbox.js'
import type { Simulators } from '../start.js'
import { ControlRequestInvalid } from './errors.js'

/** What can be set while simulators run. A limit of null is no limit. */
export interface ProviderSettings {
  /** Milliseconds that every answer takes longer. */
  latencyMs?: number
  limits?: Record<string, number | null>
  /** Web Push: false takes pushes without decrypting them. */
  decrypts?: boolean
}

const LIMITS: Readonly<Record<SimulatedProvider, readonly string[]>> = {
  fcm: ['projectPerMinute', 'devicePerMinute'],
  apns: ['tokenPerMinute', 'badTokensPerSession', 'maxConcurrentStreams'],
  webpush: ['originPerMinute'],
  smtp: ['connectionsPerMinute', 'mailsPerMinute'],
  sms: ['messagesPerMinute'],
  webhook: [],
}

export function settingsOf(simulators: Simulators, provider: SimulatedProvider): ProviderSettings {
  const limits = limitsOf(simulators, provider)
  const { latencyMs } = simulators[provider].faults
  const decrypts = provider === 'webpush' ? { decrypts: simulators.webpush.decrypts } : {}
  return { latencyMs, limits: { ...limits }, ...decrypts }
}

/** @throws ControlRequestInvalid, before anything is changed */
export function changeSettings(
  simulators: Simulators,
  provider: SimulatedProvider,
  change: Record<string, unknown>,
): void {
  const { latencyMs, limits = {}, decrypts } = change
  if (latencyMs !== undefined && !isCount(latencyMs)) throw new ControlRequestInvalid('latencyMs')
  if (typeof limits !== 'object' || limits === null) throw new ControlRequestInvalid('limits')
  if (decrypts !== undefined && (provider !== 'webpush' || typeof decrypts !== 'boolean')) {
    throw new ControlRequestInvalid('decrypts')
  }
  const given = Object.entries(limits)
  for (const [name, limit] of given) {
    const known = LIMITS[provider].includes(name)
    if (!known || (limit !== null && !isCount(limit))) throw new ControlRequestInvalid(`limits.${name}`)
  }
  if (latencyMs !== undefined) simulators[provider].faults.latencyMs = Number(latencyMs)
  if (typeof decrypts === 'boolean') simulators.webpush.decrypts = decrypts
  const target = limitsOf(simulators, provider)
  for (const [name, limit] of given) {
    if (limit === null) delete target[name]
    else target[name] = Number(limit)
  }
}

function limitsOf(simulators: Simulators, provider: SimulatedProvider): Record<string, number> {
  return provider === 'webhook' ? {} : (simulators[provider].limits as Record<string, number>)
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0
}
