import { setMaxListeners } from 'node:events'
import type { Outgoing } from './message.js'
import type { Verdict } from './verdict.js'

/** Time that an attempt gets to settle after the signal, so that it can say whether it was written. */
const GRACE_MS = 250

export interface SendEachOptions {
  signal: AbortSignal
  /** The whole batch. */
  batchMs: number
  /** Attempts under way at once. */
  concurrency: number
}

/**
 * Keeps the promises of `Sender.send` over a function for one message: one verdict each, in order, never a throw,
 * all within `batchMs`. What was not begun by then is `retry`; what has no answer is `unknown`.
 */
export async function sendEach(
  batch: readonly Outgoing[],
  options: SendEachOptions,
  one: (outgoing: Outgoing, signal: AbortSignal) => Promise<Verdict>,
): Promise<Verdict[]> {
  if (batch.length === 0) return []
  const stop = new AbortController()
  // Attempts under way may listen; the default warns above ten.
  setMaxListeners(0, stop.signal)
  const abort = () => stop.abort()
  const deadline = setTimeout(abort, Math.max(1, options.batchMs - GRACE_MS))
  options.signal.addEventListener('abort', abort, { once: true })
  let grace: NodeJS.Timeout | undefined
  try {
    return await new Promise<Verdict[]>((resolve) => {
      const verdicts: Verdict[] = new Array(batch.length)
      let settled = 0
      let next = 0
      const settle = (index: number, verdict: Verdict) => {
        if (verdicts[index]) return
        verdicts[index] = verdict
        if (++settled === batch.length) resolve(verdicts)
      }
      const work = async () => {
        while (next < batch.length) {
          const index = next++
          settle(
            index,
            stop.signal.aborted
              ? { kind: 'retry', reason: 'NOT_SENT' }
              : await attempt(batch[index] as Outgoing, stop.signal, one),
          )
        }
      }
      const late = () => {
        for (const index of batch.keys()) {
          settle(
            index,
            index < next ? { kind: 'unknown', reason: 'DEADLINE' } : { kind: 'retry', reason: 'NOT_SENT' },
          )
        }
      }
      stop.signal.addEventListener('abort', () => {
        grace = setTimeout(late, GRACE_MS)
      })
      if (options.signal.aborted) abort()
      for (let worker = Math.min(options.concurrency, batch.length); worker > 0; worker--) void work()
    })
  } finally {
    clearTimeout(deadline)
    clearTimeout(grace)
    options.signal.removeEventListener('abort', abort)
  }
}

async function attempt(
  outgoing: Outgoing,
  signal: AbortSignal,
  one: (outgoing: Outgoing, signal: AbortSignal) => Promise<Verdict>,
): Promise<Verdict> {
  try {
    return await one(outgoing, signal)
  } catch (error) {
    return { kind: 'unknown', reason: error instanceof Error ? error.message.slice(0, 200) : 'UNEXPECTED' }
  }
}

/** The verdict for a message whose address another provider serves. */
export function wrongAddress(outgoing: Outgoing, provider: string): Verdict {
  return {
    kind: 'message',
    reason: `an address of kind ${outgoing.address.kind} can't be served by ${provider}`,
  }
}
