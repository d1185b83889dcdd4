/** What becomes due, in the words of logs and metrics. */
export type DueKind = 'runs' | 'deliveries' | 'fanouts' | 'snoozed' | 'outbox'

/** One kind of work that becomes due. `run` handles a batch and says whether more may be waiting. */
export interface DueWork {
  kind: DueKind
  run(signal: AbortSignal): Promise<{ more: boolean }>
}

export interface WakerOptions {
  /** What is due now; one cheap statement. */
  due(): Promise<Readonly<Record<DueKind, boolean>>>
  work: readonly DueWork[]
  everyMs: number
  onFailure(kind: string, error: unknown): void
}

export interface Waker extends AsyncDisposable {
  /** Stops looking and waits for what is being handled. */
  drain(): Promise<void>
}

/** After a failure (the database is away, mostly) the waker looks again this much later, doubling up to the limit. */
const LONGEST_PAUSE_MS = 10_000

/**
 * Looks for due rows every `everyMs`; while there is more it doesn't pause. Several wakers may run: rows are taken
 * with SKIP LOCKED.
 */
export function startWaker(options: WakerOptions): Waker {
  const stopping = new AbortController()
  const done = loop(options, stopping.signal)
  return {
    async drain() {
      stopping.abort()
      await done
    },
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await done
    },
  }
}

async function loop(options: WakerOptions, signal: AbortSignal): Promise<void> {
  let pauseMs = options.everyMs
  while (!signal.aborted) {
    try {
      await handleDue(options, signal)
      pauseMs = options.everyMs
    } catch (error) {
      options.onFailure('look', error)
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
    }
    await pause(pauseMs, signal)
  }
}

async function handleDue(options: WakerOptions, signal: AbortSignal): Promise<void> {
  const due = await options.due()
  for (const work of options.work) {
    let more = due[work.kind]
    while (more && !signal.aborted) {
      try {
        more = (await work.run(signal)).more
      } catch (error) {
        options.onFailure(work.kind, error)
        more = false
      }
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end, { once: true })
  })
}
