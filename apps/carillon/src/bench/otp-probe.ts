import { setTimeout as sleep } from 'node:timers/promises'
import type { Publisher } from '@carillon/jetstream'
import { CALLER } from './broadcast-data.js'
import { event, type Load } from './broadcast-load.js'
import type { Child } from './push-child.js'
import type { Arrived, SimulatorsQuestion } from './push-simulators.js'

const CODE_EVERY_MS = 50
/** How long the last codes may still take. */
const LAST_CODES_MS = 10_000

/**
 * Asks for a one-time code every 50 ms and takes the time from publishing the event until the provider has accepted the
 * push. Gives milliseconds, ascending; a code that never came counts as infinite. The simulators are asked at the end.
 */
export function startCodes(publisher: Publisher, simulators: Child, name: string): Load<number[]> {
  const begun = new Map<string, number>()
  const took: number[] = []
  const stopping = new AbortController()
  const loop = (async () => {
    for (let n = 0; !stopping.signal.aborted; n++) {
      const code = `${name}-${n}`
      begun.set(code, Date.now())
      await publisher.publish('EVENTS', event('high', 'otp.v1', code, { user: CALLER, code }))
      await sleep(CODE_EVERY_MS)
    }
  })()
  return {
    async stop() {
      stopping.abort()
      await loop
      const giveUpAt = performance.now() + LAST_CODES_MS
      while (begun.size > 0 && performance.now() < giveUpAt) {
        for (const { title, at } of await simulators.ask<Arrived[]>({
          ask: 'arrived',
        } satisfies SimulatorsQuestion)) {
          const published = begun.get(title)
          if (published !== undefined) took.push(at - published)
          begun.delete(title)
        }
        await sleep(20)
      }
      return [...took, ...[...begun].map(() => Number.POSITIVE_INFINITY)].sort((a, b) => a - b)
    },
  }
}
