import { setTimeout as sleep } from 'node:timers/promises'
import type { SimulatedMessage } from '../inbox.js'
import { ControlFailed } from './errors.js'

const AGAIN_AFTER_MS = 100

/**
 * Calls for each arrival from now on, in order. When the connection breaks it comes back and asks for what it
 * missed; what the server no longer keeps is lost.
 * @throws ControlFailed when the first connection fails
 */
export async function followMessages(
  url: string,
  listener: (message: SimulatedMessage) => void,
): Promise<AsyncDisposable> {
  const stop = new AbortController()
  let last: string | undefined
  const open = async (): Promise<AsyncIterable<Uint8Array>> => {
    const after = last === undefined ? '' : `?${new URLSearchParams({ after: last })}`
    const response = await fetch(`${url}/messages/stream${after}`, { signal: stop.signal })
    if (!response.ok || !response.body) throw new ControlFailed(response.status, 'no stream of messages')
    return response.body
  }
  const read = async (chunks: AsyncIterable<Uint8Array>) => {
    const decoder = new TextDecoder()
    let rest = ''
    for await (const chunk of chunks) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (line === '') continue
        const message = JSON.parse(line) as SimulatedMessage
        last = message.id
        // what the listener throws is not a broken connection
        queueMicrotask(() => listener(message))
      }
    }
  }
  const first = await open().catch((error: unknown) => {
    throw error instanceof ControlFailed
      ? error
      : new ControlFailed(0, `${url} can't be reached`, { cause: error })
  })
  const run = async (): Promise<void> => {
    let chunks: AsyncIterable<Uint8Array> | undefined = first
    while (!stop.signal.aborted) {
      try {
        await read(chunks ?? (await open()))
      } catch {
        // the server is away or the connection broke: ask again below
      }
      chunks = undefined
      if (!stop.signal.aborted) await sleep(AGAIN_AFTER_MS)
    }
  }
  const running = run()
  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
    },
  }
}
