import { setTimeout as sleep } from 'node:timers/promises'
import { eventSubject, type Lane, liveSubject } from '@carillon/contracts'
import { type Connection, type OutgoingMessage, type Publisher, subscribeCore } from '@carillon/jetstream'
import { CALLER, CALLER_ID, RIDERS, TENANT } from './broadcast-data.js'

export function event(lane: Lane, type: string, id: string, data: unknown): OutgoingMessage {
  return {
    subject: eventSubject(lane, TENANT, type),
    headers: { 'ce-specversion': '1.0', 'ce-id': id, 'ce-source': '/bench', 'ce-type': type },
    body: JSON.stringify(data),
  }
}

/** Runs until it is stopped. */
export interface Load<T> {
  stop(): Promise<T>
}

const PROBE_EVERY_MS = 50
/** How long the last probes may still take. */
const LAST_PROBES_MS = 5_000

/**
 * Publishes an event of the high lane every 50 ms and takes the time until its frame is heard by who listens. Gives
 * milliseconds, ascending; one that never came counts as infinite.
 */
export async function startProbe(
  connection: Connection,
  publisher: Publisher,
  name: string,
): Promise<Load<number[]>> {
  const begun = new Map<string, number>()
  const took: number[] = []
  const subscription = subscribeCore(connection, liveSubject(TENANT, 'user', CALLER_ID), (message) => {
    const code = /"title":"([^"]+)"/.exec(Buffer.from(message.body).toString())?.[1] ?? ''
    const at = begun.get(code)
    if (at === undefined) return
    begun.delete(code)
    took.push(performance.now() - at)
  })
  const stopping = new AbortController()
  const loop = (async () => {
    for (let n = 0; !stopping.signal.aborted; n++) {
      const code = `${name}-${n}`
      begun.set(code, performance.now())
      await publisher.publish('EVENTS', event('high', 'code.v1', code, { user: CALLER, code }))
      await sleep(PROBE_EVERY_MS)
    }
  })()
  return {
    async stop() {
      stopping.abort()
      await loop
      const giveUpAt = performance.now() + LAST_PROBES_MS
      while (begun.size > 0 && performance.now() < giveUpAt) await sleep(5)
      subscription.stop()
      return [...took, ...[...begun].map(() => Number.POSITIVE_INFINITY)].sort((a, b) => a - b)
    },
  }
}

const FLOOD_EVERY_MS = 50

/** Publishes ordinary events at a steady rate, and gives how many it published a second. */
export function startFlood(publisher: Publisher, perSecond: number, name: string): Load<number> {
  const stopping = new AbortController()
  let published = 0
  const began = performance.now()
  const loop = (async () => {
    while (!stopping.signal.aborted) {
      const wanted = Math.floor(((performance.now() - began) * perSecond) / 1_000) - published
      const messages = Array.from({ length: Math.min(wanted, 1_000) }, (_, index) => {
        const ride = published + index
        return event('normal', 'ride.v1', `${name}-ride-${ride}`, { user: `rider${ride % RIDERS}`, ride })
      })
      if (messages.length > 0) {
        const outcomes = await publisher.publishAll('EVENTS', messages)
        const failed = outcomes.find((outcome) => !outcome.ok)
        if (failed !== undefined && !failed.ok) throw failed.error
        published += messages.length
      }
      await sleep(FLOOD_EVERY_MS)
    }
  })()
  return {
    async stop() {
      const ms = performance.now() - began
      stopping.abort()
      await loop
      return (published * 1_000) / ms
    },
  }
}
