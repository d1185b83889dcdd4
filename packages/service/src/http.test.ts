import t from 'tap'
import { createHealth } from './health.js'
import { createHttpServer } from './http.js'
import { createLogger } from './logger.js'
import { createMetrics } from './metrics.js'
import { HttpProblem } from './problem.js'

async function server(t: { teardown(fn: () => unknown): void }) {
  const health = createHealth()
  const metrics = createMetrics()
  const lines: string[] = []
  const logger = createLogger({
    name: 'test',
    destination: { write: (line: string) => void lines.push(line) },
  })
  // how busy the machine is is not what is tested
  const app = await createHttpServer({ logger, metrics, health, maxEventLoopDelayMs: 30_000 })
  t.teardown(() => app.close())
  return { app, health, metrics, lines }
}

t.test('what a route throws becomes a problem with code, field and correlation id', async (t) => {
  const { app } = await server(t)
  app.get('/gone', async () => {
    throw new HttpProblem(410, 'LINK_EXPIRED', 'The link is too old.', { field: 'token' })
  })
  const answer = await app.inject({ url: '/gone', headers: { 'x-correlation-id': 'abc-1' } })
  t.equal(answer.statusCode, 410)
  t.match(answer.headers['content-type'], /application\/problem\+json/)
  t.equal(answer.headers['x-correlation-id'], 'abc-1')
  t.match(answer.json(), { code: 'LINK_EXPIRED', field: 'token', correlationId: 'abc-1', status: 410 })
})

t.test('our own failure says nothing but where to look', async (t) => {
  const { app, lines } = await server(t)
  app.get('/boom', async () => {
    throw new Error('password is hunter2')
  })
  const answer = await app.inject({ url: '/boom' })
  t.equal(answer.statusCode, 500)
  t.notMatch(answer.body, /hunter2/)
  t.match(lines.join(''), /request.failed/)
})

t.test('a body that breaks the schema names the field, and nothing is coerced', async (t) => {
  const { app } = await server(t)
  app.post(
    '/n',
    {
      schema: {
        body: { type: 'object', properties: { n: { type: 'integer' } }, additionalProperties: false },
      },
    },
    async () => ({}),
  )
  const answer = await app.inject({ method: 'POST', url: '/n', payload: { n: '1' } })
  t.match(answer.json(), { code: 'VALIDATION', status: 400, field: 'n' })
  const extra = await app.inject({ method: 'POST', url: '/n', payload: { m: 1 } })
  t.match(extra.json(), { code: 'VALIDATION', field: 'm' })
})

t.test('an unsuitable correlation id is replaced, unknown paths are problems', async (t) => {
  const { app } = await server(t)
  const answer = await app.inject({ url: '/nowhere', headers: { 'x-correlation-id': 'a b\u0001' } })
  t.equal(answer.statusCode, 404)
  t.match(answer.headers['x-correlation-id'], /^[0-9a-f-]{36}$/)
})

t.test('readiness names the dependency that is away and turns back by itself', async (t) => {
  const { app, health, metrics } = await server(t)
  let away: string | undefined = 'connection refused'
  health.add('nats', () => away)
  health.add('slow', () => Promise.resolve(undefined))
  t.match((await app.inject({ url: '/health/ready' })).json(), {
    ok: false,
    checks: { nats: { detail: 'connection refused' } },
  })
  away = undefined
  t.equal((await app.inject({ url: '/health/ready' })).statusCode, 200)
  t.equal((await app.inject({ url: '/health/live' })).statusCode, 200)
  metrics.counter({ name: 'rings_total', help: 'Rings.' }).inc()
  t.match((await app.inject({ url: '/metrics' })).body, /rings_total 1/)
})
