import { createServer, type IncomingMessage } from 'node:http'
import { createHealth, createHttpServer, createLogger, createMetrics } from '@carillon/service'
import { type TestScope, usePostgres } from '@carillon/testkit'
import type { FastifyInstance } from 'fastify'
import pg from 'pg'
import { start } from '../src/index.js'

export const TOKEN = 'a-token-of-rides-123'
export const ORDER = {
  customerId: 'ada',
  customer: 'Ada',
  from: 'Station',
  to: 'Harbour',
  city: 'Graz',
  minutes: 4,
  amountCents: 1250,
  currency: 'EUR',
}
export const DRIVER = { id: 'mira', name: 'Mira', car: 'white van' }

interface Said {
  channel: string
  key?: string
  from?: string
  idempotencyKey?: string
  data: { type: string } & Record<string, unknown>
}

/** Carillon's edge as far as rides can see it: records what it takes, answers 503 while `away`. */
export interface Edge {
  url: string
  away: boolean
  /** Types of events and frames that it refuses for good, with their whole batch. */
  refused: Set<string>
  /** Answers 403 to what is said in channels. */
  forbidden: boolean
  published: { id: string; type: string; data: Record<string, unknown> }[]
  refusedIds: string[]
  said: Said[]
  rules: { namespace: string; authorise: boolean }[]
  tokens: { path: string; body: Record<string, unknown> }[]
}

async function useEdge(t: TestScope): Promise<Edge> {
  const edge: Edge = {
    url: '',
    away: false,
    refused: new Set(),
    forbidden: false,
    published: [],
    refusedIds: [],
    said: [],
    rules: [],
    tokens: [],
  }
  const server = createServer(async (request, response) => {
    const body = await bodyOf(request)
    const [status, answer] = answerOf(edge, request.method ?? '', request.url ?? '', body)
    response.writeHead(status, { connection: 'close', 'content-type': 'application/json' })
    response.end(JSON.stringify(answer))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise((resolve) => server.close(resolve)))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  edge.url = `http://127.0.0.1:${address.port}`
  return edge
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const text = Buffer.concat(chunks).toString()
  return text === '' ? undefined : JSON.parse(text)
}

function answerOf(edge: Edge, method: string, url: string, body: unknown): [number, object] {
  if (url === '/v1/events') {
    const events = (Array.isArray(body) ? body : [body]) as Edge['published']
    if (edge.away) edge.refusedIds.push(...events.map(({ id }) => id))
    else if (events.some(({ type }) => edge.refused.has(type))) {
      return [400, { code: 'EVENT_INVALID', detail: 'One of them is not taken.' }]
    } else edge.published.push(...events)
  }
  if (edge.away) return [503, { code: 'OVERLOADED' }]
  if (method === 'POST' && url.startsWith('/v1/channels')) {
    if (edge.forbidden) return [403, { code: 'FORBIDDEN', detail: 'Not with this key.' }]
    const { publications } = body as { publications: Said[] }
    if (publications.some(({ data }) => edge.refused.has(data.type))) {
      return [400, { code: 'CHANNEL_DATA_INVALID', detail: 'One of them is not taken.' }]
    }
    const keys = publications.flatMap(({ key, idempotencyKey }) => [key ?? 'k', idempotencyKey ?? 'k'])
    if (keys.some((key) => !KEY.test(key))) return [400, { code: 'VALIDATION', detail: 'This is no key.' }]
    edge.said.push(...publications)
    return [200, { publications: publications.map(() => ({})) }]
  }
  if (method === 'PUT')
    edge.rules.push({ ...(body as Edge['rules'][number]), namespace: url.split('/').at(-1) ?? '' })
  if (url.includes('token')) {
    edge.tokens.push({ path: url, body: body as Record<string, unknown> })
    return [200, { token: `t${edge.tokens.length}`, expiresAt: '2030-01-01T00:00:00.000Z' }]
  }
  return [202, {}]
}

/** What the edge takes as a key; keys travel in headers. */
const KEY = /^[\x21-\x7e]{1,128}$/

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

const callerOf =
  (http: FastifyInstance) => (token: string) => async (method: Method, url: string, payload?: object) => {
    const answer = await http.inject({
      method,
      url,
      headers: { authorization: `Bearer ${token}` },
      ...(payload === undefined ? {} : { payload }),
    })
    return {
      status: answer.statusCode,
      headers: answer.headers,
      body: answer.body === '' ? undefined : answer.json(),
    }
  }

interface Clock {
  ahead: number
  /** Milliseconds; undefined: it goes. */
  stoppedAt: number | undefined
}

/** The rides service on a database of its own, with a clock that can be set forward and stopped. */
export async function useRides(t: TestScope) {
  const database = await usePostgres(t)
  const edge = await useEdge(t)
  const clock: Clock = { ahead: 0, stoppedAt: undefined }
  const now = () => (clock.stoppedAt ?? Date.now()) + clock.ahead
  const config = {
    databaseUrl: database.url,
    carillonUrl: edge.url,
    carillonKey: 'ck_test',
    token: TOKEN,
    host: '127.0.0.1',
    port: 0,
  }
  /** A process of the service. */
  const startOne = async () => {
    const deps = {
      logger: createLogger({ name: 'test', level: 'silent' }),
      metrics: createMetrics(),
      health: createHealth(),
      signal: new AbortController().signal,
    }
    const http = await createHttpServer({ ...deps, maxEventLoopDelayMs: 30_000 })
    const service = await start(config, { ...deps, http, now })
    t.teardown(async () => {
      await http.close()
      await service[Symbol.asyncDispose]()
    })
    return { http, metrics: deps.metrics, as: callerOf(http) }
  }
  const pool = new pg.Pool({ connectionString: database.url, max: 1 })
  t.teardown(() => pool.end())
  const { http, metrics, as } = await startOne()
  const call = as(TOKEN)
  const sessionOf = async (id: string): Promise<string> =>
    (await call('POST', `/people/${id}/session`)).body.token
  const person = async (id: string) => as(await sessionOf(id))
  return { edge, http, clock, metrics, pool, config, call, as, person, sessionOf, startOne }
}

/** A ride that Mira has accepted. */
export async function useAcceptedRide(call: Awaited<ReturnType<typeof useRides>>['call']): Promise<string> {
  const { id } = (await call('POST', '/rides', ORDER)).body as { id: string }
  await call('POST', `/rides/${id}/accept`, DRIVER)
  return id
}
