import { setTimeout as sleep } from 'node:timers/promises'
import type { TestScope } from '@carillon/testkit'

/** A browser's view: an EventSource that returns with its last id however often it is cut off. */
export interface LiveReader {
  /** Notifications shown, in order, once per frame that came. */
  readonly shown: readonly string[]
  /** How often it was told to read the inbox again. */
  readonly resets: number
  readonly connects: number
  /** Cuts the connection that is open, as a lost network does. */
  cut(): void
}

/** Reconnects at once, so that a test is short; a real one waits for what `retry:` says. */
const RETURN_AFTER_MS = 100

export function readLive(t: TestScope, url: string, token: string): LiveReader {
  const shown: string[] = []
  const state = { resets: 0, connects: 0, lastId: '' }
  const stopping = new AbortController()
  let current = new AbortController()
  const take = (block: string): void => {
    const fields = new Map<string, string>()
    for (const line of block.split('\n')) {
      const colon = line.indexOf(':')
      if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).replace(/^ /, ''))
    }
    state.lastId = fields.get('id') ?? state.lastId
    if (fields.get('event') === 'reset') state.resets++
    const data = fields.get('data')
    if (data === undefined || fields.has('event')) return
    const frame = JSON.parse(data) as { type?: string; id?: string }
    if (frame.type === 'notification.created' && frame.id !== undefined) shown.push(frame.id)
  }
  const readOnce = async (): Promise<void> => {
    current = new AbortController()
    const answer = await fetch(`${url}/v1/sse?channel=user`, {
      headers: {
        authorization: `Bearer ${token}`,
        accept: 'text/event-stream',
        ...(state.lastId === '' ? {} : { 'last-event-id': state.lastId }),
      },
      signal: AbortSignal.any([current.signal, stopping.signal]),
    })
    if (answer.body === null || !answer.ok) throw new Error(`SSE answers ${answer.status}`)
    state.connects++
    let rest = ''
    for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
      const blocks = (rest + chunk).split('\n\n')
      rest = blocks.pop() ?? ''
      blocks.forEach(take)
    }
  }
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      // refused or cut off: it just comes again
      await readOnce().catch(() => undefined)
      await sleep(RETURN_AFTER_MS, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  }
  const running = run()
  t.teardown(async () => {
    stopping.abort()
    await running
  })
  return {
    shown,
    get resets() {
      return state.resets
    },
    get connects() {
      return state.connects
    },
    cut: () => current.abort(),
  }
}
