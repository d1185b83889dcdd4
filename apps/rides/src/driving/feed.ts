/** Something of which only the newest counts, per channel and key. */
export interface Latest {
  channel: string
  key: string
  data: Readonly<Record<string, unknown>>
}

/**
 * Publishes the newest of each key, many in one call and one call at a time: what comes while one is under way takes
 * the place of what waits. So order holds, and a slow Carillon sees fewer positions, not older ones. What a call loses
 * is not repeated.
 */
export interface Feed extends AsyncDisposable {
  push(latest: Latest): void
  /** Drops what waits for a channel; resolves when nothing for it is on its way either. */
  stop(channel: string): Promise<void>
}

/** Gathers what many drivers send at once; nobody sees so short a while. */
const GATHER_MS = 20

export function createFeed(
  publish: (batch: Latest[]) => Promise<unknown>,
  lost: (count: number, error: unknown) => void,
): Feed {
  const waiting = new Map<string, Latest>()
  let underWay: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined

  const send = async (): Promise<void> => {
    const batch = [...waiting.values()]
    waiting.clear()
    await publish(batch).catch((error: unknown) => lost(batch.length, error))
  }
  const begin = (): void => {
    timer = undefined
    if (waiting.size === 0) return
    underWay = send().finally(() => {
      underWay = undefined
      if (waiting.size > 0) begin()
    })
  }
  return {
    push(latest) {
      waiting.set(`${latest.channel} ${latest.key}`, latest)
      if (underWay === undefined) timer ??= setTimeout(begin, GATHER_MS)
    },
    async stop(channel) {
      for (const [name, latest] of waiting) if (latest.channel === channel) waiting.delete(name)
      await underWay
    },
    async [Symbol.asyncDispose]() {
      clearTimeout(timer)
      waiting.clear()
      await underWay
    },
  }
}
