import type { ServerResponse } from 'node:http'

export interface MessageStreamSource {
  /** Everything there is, oldest first. */
  messages(): readonly unknown[]
  /** What changes without a message, too: outages, counters, devices and their screens. */
  state(): unknown
}

/**
 * Server-sent events to open pages. Each begins with a `snapshot` of everything, so a page that was away misses
 * nothing; messages carry their own id, so a page can tell what it has. `state` follows a change within a moment.
 */
export interface MessageStream {
  add(response: ServerResponse): void
  message(message: unknown): void
  /** Looks at the state now. */
  changed(): void
  snapshot(): void
  close(): void
}

const HEARTBEAT_MS = 15_000
/** How often the state is looked at; it is told only when it differs. */
const LOOK_MS = 250
/** Arrivals in quick succession are told of together. */
const GATHER_MS = 20
const MAX_BUFFERED_BYTES = 1_048_576

export function openMessageStream(source: MessageStreamSource): MessageStream {
  const pages = new Set<ServerResponse>()
  let told = ''
  let gathering: NodeJS.Timeout | undefined
  const toAll = (text: string) => {
    for (const page of pages) {
      // A page that doesn't read is cut off; it comes back and gets a snapshot.
      if (page.writableLength > MAX_BUFFERED_BYTES) page.destroy()
      else page.write(text)
    }
  }
  const look = () => {
    gathering = undefined
    if (pages.size === 0) return
    const now = event('state', source.state())
    if (now !== told) toAll(now)
    told = now
  }
  const soon = () => {
    gathering ??= setTimeout(look, GATHER_MS)
  }
  const whole = () => event('snapshot', { messages: source.messages(), state: source.state() })
  const looking = setInterval(look, LOOK_MS)
  const heartbeat = setInterval(() => toAll(':\n\n'), HEARTBEAT_MS)
  looking.unref()
  heartbeat.unref()
  return {
    add(response) {
      response.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      })
      response.write(whole())
      pages.add(response)
      response.on('close', () => pages.delete(response))
    },
    message(message) {
      toAll(event('message', message))
      soon()
    },
    changed: look,
    snapshot: () => toAll(whole()),
    close() {
      clearInterval(looking)
      clearInterval(heartbeat)
      clearTimeout(gathering)
      for (const page of pages) page.end()
      pages.clear()
    },
  }
}

function event(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
}
