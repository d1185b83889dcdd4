const MIN_WAIT_MS = 500
const MAX_WAIT_MS = 8_000
/** A server sends at least a comment this often; silence for longer means that the connection is dead. */
const SILENCE_MS = 45_000

/**
 * Server-sent events over fetch, so that a token can go in a header. Reconnects for ever with the last event id.
 * `onEvent({ event, data, id })`, `onState('connected' | 'reconnecting' | 'refused')`. Returns how to stop.
 */
export function openStream(path, { headers = async () => ({}), onEvent, onState }) {
  let lastId = ''
  let waitMs = MIN_WAIT_MS
  let stopped = false
  let cut = new AbortController()

  const once = async () => {
    cut = new AbortController()
    let timer = setTimeout(() => cut.abort(), SILENCE_MS)
    try {
      const response = await fetch(path, {
        headers: {
          ...(await headers()),
          accept: 'text/event-stream',
          ...(lastId ? { 'last-event-id': lastId } : {}),
        },
        cache: 'no-store',
        signal: cut.signal,
      })
      if (!response.ok) {
        await response.body?.cancel()
        onState(response.status === 401 || response.status === 403 ? 'refused' : 'reconnecting')
        return
      }
      onState('connected')
      waitMs = MIN_WAIT_MS
      const parser = createParser((event) => {
        if (event.id !== undefined) lastId = event.id
        if (event.data !== '') onEvent(event)
      })
      const decoder = new TextDecoder()
      for await (const chunk of chunksOf(response.body)) {
        clearTimeout(timer)
        timer = setTimeout(() => cut.abort(), SILENCE_MS)
        parser(decoder.decode(chunk, { stream: true }))
      }
    } finally {
      clearTimeout(timer)
    }
  }

  const run = async () => {
    while (!stopped) {
      await once().catch(() => undefined)
      if (stopped) return
      onState('reconnecting')
      await new Promise((resolve) => setTimeout(resolve, waitMs * (0.5 + Math.random())))
      waitMs = Math.min(waitMs * 2, MAX_WAIT_MS)
    }
  }
  void run()
  return () => {
    stopped = true
    cut.abort()
  }
}

async function* chunksOf(body) {
  const reader = body.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    yield value
  }
}

/** Takes text as it comes and calls for each block of the event stream format. */
function createParser(onBlock) {
  let rest = ''
  return (text) => {
    rest += text.replaceAll('\r\n', '\n')
    for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
      onBlock(readBlock(rest.slice(0, end)))
      rest = rest.slice(end + 2)
    }
  }
}

function readBlock(block) {
  const data = []
  let event = 'message'
  let id
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':')
    if (colon === 0) continue
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'data') data.push(value)
    else if (field === 'event') event = value
    else if (field === 'id') id = value
  }
  return { event, id, data: data.join('\n') }
}
