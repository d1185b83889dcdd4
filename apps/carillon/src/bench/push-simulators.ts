import type { Address } from '@carillon/channels'
import { type Simulators, startSimulators } from '@carillon/simulators'
import { answerQuestions } from './push-child.js'
import type { MeasuredProvider } from './push-messages.js'

/** The process that the clients are measured against: every provider's simulator, each answer late by some time. */

export type SimulatorsQuestion =
  | { ask: 'start'; latencyMs: number; devices: number }
  | { ask: 'seen'; provider: MeasuredProvider }
  /** From now on browsers take what they get without decrypting it: that is a browser's work, and costs as much as ours. */
  | { ask: 'seal' }
  /** From now on, what comes to this device of FCM's is told by itself. */
  | { ask: 'watch'; device: string }
  | { ask: 'arrived' }
  | { ask: 'others' }

/** How to reach the simulators, and who can be reached through them. */
export interface Stage {
  settings: Simulators['settingsForChannels']
  credentials: Simulators['credentials']
  addresses: Record<MeasuredProvider, Address[]>
}

/** What one simulator saw so far. */
export interface Seen {
  /** HTTP/2 sessions ever opened, and the most streams that one of them had open at once. */
  sessions: number
  streams: number
  /** Connections open now. */
  connections: number
  /** CPU microseconds of the whole process so far. */
  cpuMicros: number
  /** What arrived last, as the device found it. */
  kept: { to: string; raw: unknown }[]
}

/** What came to the watched device, and when, in milliseconds. */
export interface Arrived {
  title: string
  at: number
}

let simulators: Simulators | undefined
let watched: string | undefined
const arrived: Arrived[] = []
/** Messages that FCM took for other devices. */
let others = 0
await answerQuestions(async (question) => {
  const asked = question as SimulatorsQuestion
  if (asked.ask === 'start') {
    simulators = await startSimulators({
      allow: 'development',
      onMessage({ provider, to, title, at }) {
        if (to === watched) arrived.push({ title, at })
        else if (provider === 'fcm') others++
      },
    })
    return stageOf(simulators, asked)
  }
  if (simulators === undefined) throw new Error('The simulators are asked before they are started.')
  switch (asked.ask) {
    case 'seen':
      return seenBy(simulators, asked.provider)
    case 'seal':
      simulators.webpush.decrypts = false
      return {}
    case 'watch':
      watched = asked.device
      return {}
    case 'arrived':
      return arrived.splice(0)
    case 'others':
      return others
  }
})
await simulators?.[Symbol.asyncDispose]()

function stageOf(from: Simulators, asked: { latencyMs: number; devices: number }): Stage {
  for (const one of [from.fcm, from.apns, from.webpush, from.smtp])
    one.faults.rules.push({ reply: { latencyMs: asked.latencyMs } })
  const each = <T>(make: (index: number) => T) =>
    Array.from({ length: asked.devices }, (_, index) => make(index))
  return {
    settings: from.settingsForChannels,
    credentials: from.credentials,
    addresses: {
      fcm: each(() => ({ kind: 'fcm', token: from.fcm.registerDevice().token })),
      apns: each(() => ({ kind: 'apns', token: from.apns.registerDevice().token })),
      webpush: each(() => {
        const { endpoint, keys } = from.webpush.registerDevice().subscription
        return { kind: 'webpush', endpoint, ...keys }
      }),
      smtp: each((index) => ({ kind: 'email', email: `user${index}@example.com`, name: `User ${index}` })),
    },
  }
}

function seenBy(from: Simulators, provider: MeasuredProvider): Seen {
  const { user, system } = process.cpuUsage()
  const server = provider === 'smtp' ? undefined : from[provider].server
  return {
    sessions: server?.counters.sessions ?? 0,
    streams: server?.counters.maxOpenStreams ?? 0,
    connections: server?.open() ?? 0,
    cpuMicros: user + system,
    kept: from.inbox
      .list()
      .filter((message) => message.provider === provider)
      .map(({ to, raw }) => ({ to, raw })),
  }
}
