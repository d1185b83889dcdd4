import { setMaxListeners } from 'node:events'
import { openSender } from '@carillon/channels'
import { answerQuestions } from './push-child.js'
import { type MeasuredProvider, outgoingFor } from './push-messages.js'
import { openRaw } from './push-raw.js'
import type { Seen, Stage } from './push-simulators.js'

/** The process that is measured: sends through one provider's sender, or over its raw protocol, and tells the cost. */

export type ClientQuestion =
  | { ask: 'open'; provider: MeasuredProvider; stage: Stage; raw?: Seen }
  | { ask: 'send'; count: number; mostMs: number }

/** What one round cost, from the first message to the last answer. */
export interface Sent {
  ms: number
  cpuMicros: number
  /** Messages by what became of them; `accepted` is the good one. */
  outcomes: Record<string, number>
}

/** Prepares so many messages outside of the clock; what it returns begins none after `until`. */
export interface Client extends AsyncDisposable {
  prepare(count: number): (until: number, note: (outcome: string) => void) => Promise<void>
}

/** As delivery does: batches that are under way side by side. Slow providers get small ones, so that a round can end. */
const BATCH: Record<MeasuredProvider, number> = { fcm: 250, apns: 250, webpush: 100, smtp: 20 }
const BATCHES_IN_FLIGHT = 8

let client: Client | undefined
await answerQuestions(async (question) => {
  const asked = question as ClientQuestion
  if (asked.ask === 'open') {
    client = asked.raw ? await openRaw(asked.provider, asked.stage, asked.raw) : openOurs(asked)
    return {}
  }
  if (client === undefined) throw new Error('The client is asked before it is opened.')
  return measured(client, asked)
})
await client?.[Symbol.asyncDispose]()

async function measured(from: Client, asked: { count: number; mostMs: number }): Promise<Sent> {
  const run = from.prepare(asked.count)
  // what was made beforehand is not to be collected on the clock
  globalThis.gc?.()
  const outcomes: Record<string, number> = {}
  const cpu = process.cpuUsage()
  const began = performance.now()
  await run(began + asked.mostMs, (outcome) => {
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
  })
  const ms = performance.now() - began
  const { user, system } = process.cpuUsage(cpu)
  return { ms, cpuMicros: user + system, outcomes }
}

function openOurs({ provider, stage }: { provider: MeasuredProvider; stage: Stage }): Client {
  const sender = openSender(provider, stage.credentials[provider], stage.settings)
  const { signal } = new AbortController()
  setMaxListeners(0, signal)
  return {
    prepare(count) {
      const messages = outgoingFor(stage.addresses[provider], count)
      return async (until, note) => {
        const work = async () => {
          while (messages.length > 0 && performance.now() < until) {
            const verdicts = await sender.send(messages.splice(-BATCH[provider]), signal)
            for (const verdict of verdicts) {
              note(verdict.kind === 'accepted' ? 'accepted' : `${verdict.kind} ${verdict.reason}`)
            }
          }
        }
        await Promise.all(Array.from({ length: BATCHES_IN_FLIGHT }, work))
      }
    },
    [Symbol.asyncDispose]: () => sender[Symbol.asyncDispose](),
  }
}
