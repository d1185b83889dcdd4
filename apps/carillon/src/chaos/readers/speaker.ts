import { setTimeout as sleep } from 'node:timers/promises'
import { connectHttp } from '@carillon/sdk'

/** One number that was said in the room. */
export interface Said {
  n: number
  /** Milliseconds of this process' clock. */
  began: number
}

export interface Speaker {
  /** What was begun: written before it is sent. */
  readonly attempted: ReadonlySet<number>
  /** What was acknowledged, in order. */
  readonly acknowledged: readonly Said[]
  /** Resolves when nothing is on its way any more. */
  stop(): Promise<void>
}

const TRY_WITHIN_MS = 5_000
const GIVE_UP_MS = 60_000
const PAUSE_MS = 100

/** Says 1, 2, 3 … in a room, the next one when the one before is acknowledged, whatever happens to the gateway. */
export function startSpeaker(options: {
  url: string
  apiKey: string
  room: string
  perSecond: number
}): Speaker {
  const { url, apiKey, room, perSecond } = options
  const http = connectHttp({
    url,
    apiKey,
    source: '/chaos',
    timeoutMs: TRY_WITHIN_MS,
    retry: { attempts: 1, baseMs: 0, maxMs: 0 },
  })
  const attempted = new Set<number>()
  const acknowledged: Said[] = []
  const stopping = new AbortController()
  let giveUpAt = Number.POSITIVE_INFINITY
  const say = async (n: number): Promise<void> => {
    const began = performance.now()
    attempted.add(n)
    while (performance.now() < giveUpAt) {
      // under one key it is stored once, however often it is tried
      const stored = await http.publishTo(room, { n }, { idempotencyKey: `${n}` }).catch(() => undefined)
      if (stored !== undefined) {
        acknowledged.push({ n, began })
        return
      }
      await sleep(PAUSE_MS)
    }
  }
  const run = async (): Promise<void> => {
    for (let n = 1; !stopping.signal.aborted; n++) {
      await say(n)
      await sleep(1_000 / perSecond)
    }
  }
  const running = run()
  return {
    attempted,
    acknowledged,
    async stop() {
      giveUpAt = performance.now() + GIVE_UP_MS
      stopping.abort()
      await running
      await http[Symbol.asyncDispose]()
    },
  }
}
