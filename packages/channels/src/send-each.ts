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
  const stop = new AbortController()
  // Every attempt under way listens; the default warns above ten.
  setMaxListeners(0, stop.signal)
  const abort = () => stop.abort()
  const deadline = setTimeout(abort, Math.max(1, options.batchMs - GRACE_MS))
  options.signal.addEventListener('abort', abort, { once: true })
  if (options.signal.aborted) abort()
  let grace: NodeJS.Timeout | undefined
  const overdue = new Promise<Verdict>((resolve) => {
    const late = () => {
      grace = setTimeout(() => resolve({ kind: 'unknown', reason: 'DEADLINE' }), GRACE_MS)
    }
    if (stop.signal.aborted) late()
    else stop.signal.addEventListener('abort', late, { once: true })
  })
  const verdicts: Verdict[] = new Array(batch.length)
  let next = 0
  const work = async () => {
    while (next < batch.length) {
      const index = next++
      const outgoing = batch[index] as Outgoing
      verdicts[index] = stop.signal.aborted
        ? { kind: 'retry', reason: 'NOT_SENT' }
        : await Promise.race([attempt(outgoing), overdue])
    }
  }
  const attempt = async (outgoing: Outgoing): Promise<Verdict> => {
    try {
      return await one(outgoing, stop.signal)
    } catch (error) {
      return { kind: 'unknown', reason: error instanceof Error ? error.message.slice(0, 200) : 'UNEXPECTED' }
    }
  }
  try {
    await Promise.all(Array.from({ length: Math.min(options.concurrency, batch.length) }, work))
  } finally {
    clearTimeout(deadline)
    clearTimeout(grace)
    options.signal.removeEventListener('abort', abort)
  }
  return verdicts
}

/** The verdict for a message whose address another provider serves. */
export function wrongAddress(outgoing: Outgoing, provider: string): Verdict {
  return {
    kind: 'message',
    reason: `an address of kind ${outgoing.address.kind} can't be served by ${provider}`,
  }
}
