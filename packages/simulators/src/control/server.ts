import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { FaultRuleInvalid } from '../fault-rules.js'
import type { SimulatedMessage } from '../inbox.js'
import type { Simulators } from '../start.js'
import { ControlRequestInvalid } from './errors.js'
import { answerControl, chosen } from './routes.js'

export interface ControlServer extends AsyncDisposable {
  readonly url: string
  readonly port: number
  /** Requests so far that may have changed something. */
  readonly changes: number
}

const MAX_BODY_BYTES = 1_048_576
const MAX_BUFFERED_BYTES = 8_388_608
const LOCAL = new Set(['localhost', '127.0.0.1', '[::1]'])

/**
 * Lets another process see and steer simulators: JSON over HTTP on loopback, without a sign-in, under a local host
 * name only. `GET /messages/stream` sends each arrival as a line of JSON.
 * @throws Error with code EADDRINUSE when the port asked for is taken
 */
export async function startControl(
  simulators: Simulators,
  options: { port?: number } = {},
): Promise<ControlServer> {
  let url = ''
  let changes = 0
  const streams = new Set<ServerResponse>()
  const server = createServer((request, response) => {
    void serve({ request, response, simulators, streams, url }).then(
      () => request.method !== 'GET' && changes++,
      () => response.destroy(),
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  url = `http://127.0.0.1:${port}`
  const stop = simulators.inbox.onMessage((message) => {
    if (streams.size === 0) return
    const line = lineOf(message)
    for (const stream of streams) {
      // a client that doesn't read is cut off; it comes back and gets what it missed
      if (stream.writableLength > MAX_BUFFERED_BYTES) stream.destroy()
      else stream.write(line)
    }
  })
  return {
    url,
    port,
    get changes() {
      return changes
    },
    async [Symbol.asyncDispose]() {
      stop()
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}

interface Serving {
  request: IncomingMessage
  response: ServerResponse
  simulators: Simulators
  streams: Set<ServerResponse>
  url: string
}

async function serve({ request, response, simulators, streams, url }: Serving): Promise<void> {
  const { method = 'GET', headers } = request
  if (!LOCAL.has((headers.host ?? '').replace(/:\d+$/, '')))
    return problem(response, 421, 'not a local host name')
  // a page of another origin can't send JSON without asking first, and gets no answer to that
  const sends = method !== 'GET' && method !== 'DELETE'
  if (headers.origin !== undefined) return problem(response, 403, 'not for browsers')
  const { pathname, searchParams: query } = new URL(request.url ?? '/', url)
  if (pathname === '/messages/stream') {
    const missed = query.has('after') ? chosen(simulators.inbox.list(), query) : []
    response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' })
    response.write(`\n${missed.map(lineOf).join('')}`)
    streams.add(response)
    response.on('close', () => streams.delete(response))
    return
  }
  const [resource = '', provider, part, ...more] = pathname.slice(1).split('/')
  try {
    const body = sends ? await readJson(request) : undefined
    const answer =
      more.length > 0
        ? undefined
        : await answerControl(simulators, { method, resource, provider, part, query, body, url })
    if (answer === undefined) problem(response, 404, `there is no ${method} ${pathname}`)
    else send(response, 200, answer)
  } catch (error) {
    if (error instanceof FaultRuleInvalid || error instanceof ControlRequestInvalid) {
      send(response, 400, { code: error.code, field: error.field, detail: error.message })
    } else problem(response, 500, String(error))
  }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of request) {
    size += (part as Buffer).length
    if (size > MAX_BODY_BYTES) throw new ControlRequestInvalid('body')
    parts.push(part as Buffer)
  }
  if (size === 0) return undefined
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8'))
  } catch {
    throw new ControlRequestInvalid('body')
  }
}

function lineOf(message: SimulatedMessage): string {
  return `${JSON.stringify(message)}\n`
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

function problem(response: ServerResponse, status: number, detail: string): void {
  send(response, status, { code: 'CONTROL_REFUSED', detail })
}
