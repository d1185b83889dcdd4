import { setTimeout as sleep } from 'node:timers/promises'

/** What a device says became of a message. */
export interface DeviceReceipt {
  /** The message's `rt`. */
  token: string
  status: 'delivered' | 'opened' | 'clicked' | 'dismissed'
  /** ISO 8601. */
  at: string
}

/** Brings receipts to the gateway in batches, again and again until each is accepted or refused for good. */
export interface ReceiptSender extends AsyncDisposable {
  /** The same status of the same message waits only once. */
  add(receipt: DeviceReceipt): void
  /** Resolves once nothing waits, or it was disposed. */
  settled(): Promise<void>
  /** Receipts that the gateway took. */
  readonly accepted: number
  /** Those that it will never take, with its reason. */
  readonly refused: readonly (DeviceReceipt & { reason: string })[]
}

export interface ReceiptSenderOptions {
  gatewayUrl: string
  /** How long receipts gather before they are sent. Default 20 ms. */
  gatherMs?: number
  /** Receipts in one request, at most 500. Default 500. */
  maxBatch?: number
}

const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 5_000
const REQUEST_TIMEOUT_MS = 10_000

export function createReceiptSender(options: ReceiptSenderOptions): ReceiptSender {
  const { gatewayUrl, gatherMs = 20, maxBatch = 500 } = options
  const waiting = new Map<string, DeviceReceipt>()
  const refused: (DeviceReceipt & { reason: string })[] = []
  const stop = new AbortController()
  let accepted = 0
  let running: Promise<void> | undefined

  const deliver = async (): Promise<void> => {
    let failures = 0
    await pause(gatherMs)
    while (waiting.size > 0 && !stop.signal.aborted) {
      const batch = [...waiting].slice(0, maxBatch)
      const outcome = await post(batch.map(([, receipt]) => receipt))
      if (outcome.kind === 'again') {
        const backOff = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures++)
        await pause(outcome.afterMs ?? backOff * (0.5 + Math.random() / 2))
        continue
      }
      failures = 0
      batch.forEach(([key, receipt], index) => {
        waiting.delete(key)
        const reason = outcome.refused.get(index)
        if (reason === undefined) accepted++
        else refused.push({ ...receipt, reason })
      })
    }
  }
  const pause = (ms: number) =>
    // disposing ends a pause; the loop looks at the signal itself
    sleep(ms, undefined, { signal: stop.signal }).catch(() => undefined)

  const post = async (receipts: DeviceReceipt[]): Promise<Outcome> => {
    try {
      const response = await fetch(`${gatewayUrl}/v1/receipts`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ receipts }),
        signal: AbortSignal.any([stop.signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
      })
      return outcomeOf(response.status, response.headers.get('retry-after'), {
        count: receipts.length,
        body: await response.text(),
      })
    } catch {
      // nobody answered, or not in time: it may have been taken, and taking it twice changes nothing
      return { kind: 'again', afterMs: undefined }
    }
  }

  const run = () => {
    running ??= deliver().finally(() => {
      running = undefined
      // what was added after the last look
      if (waiting.size > 0 && !stop.signal.aborted) run()
    })
    return running
  }
  return {
    add(receipt) {
      const key = `${receipt.status} ${receipt.token}`
      if (stop.signal.aborted || waiting.has(key)) return
      waiting.set(key, receipt)
      void run()
    },
    async settled() {
      while (running !== undefined) await running
    },
    get accepted() {
      return accepted
    },
    refused,
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
    },
  }
}

type Outcome =
  | { kind: 'again'; afterMs: number | undefined }
  /** Everything but what is refused, by index, with the reason. */
  | { kind: 'done'; refused: Map<number, string> }

interface Answered {
  count: number
  body: string
}

function outcomeOf(status: number, retryAfter: string | null, { count, body }: Answered): Outcome {
  if (status === 202) {
    const { rejected = [] } = JSON.parse(body) as { rejected?: { index: number; code: string }[] }
    return { kind: 'done', refused: new Map(rejected.map(({ index, code }) => [index, code])) }
  }
  if (status === 408 || status === 429 || status >= 500) {
    const seconds = Number(retryAfter)
    return { kind: 'again', afterMs: retryAfter !== null && seconds >= 0 ? seconds * 1000 : undefined }
  }
  // none of them was taken, and none ever will be
  const all = Array.from(
    { length: count },
    (_, index) => [index, reasonOf(body) ?? `HTTP_${status}`] as const,
  )
  return { kind: 'done', refused: new Map(all) }
}

function reasonOf(body: string): string | undefined {
  try {
    const { code } = JSON.parse(body) as { code?: unknown }
    return typeof code === 'string' ? code : undefined
  } catch {
    return undefined
  }
}
