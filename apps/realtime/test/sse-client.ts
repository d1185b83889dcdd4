import { get, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import type { TestScope } from '@carillon/testkit'
import { numberOf } from './mesh.js'

export interface SseEvent {
  type: string
  id: string
  data: string
}

export interface SseClient {
  status: number
  headers: IncomingHttpHeaders
  /** What a refusal said. */
  problem: { code?: string }
  events: SseEvent[]
  /** What `Last-Event-ID` would be now. */
  lastId: string
  retryMs: number | undefined
  ended: boolean
  response: IncomingMessage
  /** Numbers of the frames seen, in order. */
  numbers(type?: string): number[]
  /** Cuts the connection as a lost network does. */
  cut(): void
}

/** Connects like an EventSource that can set headers, following the rules of the HTML standard for the stream. */
export async function openSse(
  t: TestScope,
  url: string,
  options: { query?: string; token?: string; lastId?: string; headers?: Record<string, string> } = {},
): Promise<SseClient> {
  const headers: Record<string, string> = { accept: 'text/event-stream', ...options.headers }
  if (options.token !== undefined) headers.authorization = `Bearer ${options.token}`
  if (options.lastId !== undefined) headers['last-event-id'] = options.lastId
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = get(`${url}/v1/sse${options.query ?? '?channel=user'}`, { headers, agent: false })
    request.on('response', resolve)
    request.on('error', reject)
  })
  const client: SseClient = {
    status: response.statusCode ?? 0,
    headers: response.headers,
    problem: {},
    events: [],
    lastId: options.lastId ?? '',
    retryMs: undefined,
    ended: false,
    response,
    numbers: (type = 'message') =>
      client.events.filter((event) => event.type === type).map(({ data }) => numberOf(JSON.parse(data))),
    cut: () => response.destroy(),
  }
  t.teardown(() => response.destroy())
  response.on('error', () => undefined)
  response.on('close', () => {
    client.ended = true
  })
  response.setEncoding('utf8')
  if (client.status !== 200) {
    let body = ''
    for await (const chunk of response) body += chunk
    client.problem = JSON.parse(body)
    return client
  }
  const parse = createParser(client)
  response.on('data', parse)
  return client
}

function createParser(client: SseClient): (chunk: string) => void {
  let rest = ''
  let event: { type: string; data: string[] } = { type: '', data: [] }
  // an id counts when its block is complete
  let id = client.lastId
  return (chunk) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line === '') {
        client.lastId = id
        if (event.data.length > 0) {
          const type = event.type === '' ? 'message' : event.type
          client.events.push({ type, id: client.lastId, data: event.data.join('\n') })
        }
        event = { type: '', data: [] }
        continue
      }
      const colon = line.indexOf(':')
      const field = colon === -1 ? line : line.slice(0, colon)
      const value = line.slice(colon + 1).replace(/^ /, '')
      if (field === 'event') event.type = value
      else if (field === 'data') event.data.push(value)
      else if (field === 'id') id = value
      else if (field === 'retry') client.retryMs = Number(value)
    }
  }
}
