import type { ServerResponse } from 'node:http'

export interface MessageStreamSource {
  /** Everything there is, oldest first. */
  list(): readonly unknown[]
  providers(): unknown
}

/**
 * Server-sent events to open pages. Each begins with a `snapshot` of everything, so a page that was away misses
 * nothing; messages carry their own id, so a page can tell what it has.
 */
export interface MessageStream {
  add(response: ServerResponse): void
  message(message: unknown): void
  providers(): void
  snapshot(): void
  close(): void
}

const HEARTBEAT_MS = 15_000
const MAX_BUFFERED_BYTES = 1_048_576

export function openMessageStream(source: MessageStreamSource): MessageStream {
  const pages = new Set<ServerResponse>()
  const whole = () => event('snapshot', { messages: source.list(), providers: source.providers() })
  const toAll = (text: string) => {
    for (const page of pages) {
      // A page that doesn't read is cut off; it comes back and gets a snapshot.
      if (page.writableLength > MAX_BUFFERED_BYTES) page.destroy()
      else page.write(text)
    }
  }
  const heartbeat = setInterval(() => toAll(':\n\n'), HEARTBEAT_MS)
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
    message: (message) => toAll(event('message', message)),
    providers: () => toAll(event('providers', source.providers())),
    snapshot: () => toAll(whole()),
    close() {
      clearInterval(heartbeat)
      for (const page of pages) page.end()
      pages.clear()
    },
  }
}

function event(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
}
