import { eventually, useRedis } from '@carillon/testkit'
import t from 'tap'
import { createRateLimiter, createTickets, openRedis, type RedisConnection } from '../src/index.js'

const server = await useRedis(t)
const statuses: string[] = []
/** Longer than anything stands still, where that is not what is tested. */
const PATIENT_MS = 30_000
/** Windows of which none ends while a test looks. */
const WINDOW_MS = 86_400_000
const redis = await openRedis({
  url: server.url,
  name: 'test',
  commandTimeoutMs: PATIENT_MS,
  onStatus: ({ kind }) => statuses.push(kind),
})
t.teardown(() => redis.close())
await eventually(() => redis.up)

t.test('a limit lets through what it says and tells when there is room again', async (t) => {
  const limiter = createRateLimiter(redis, { name: 'a', limit: 5, windowMs: WINDOW_MS })
  const verdicts = await Promise.all(Array.from({ length: 8 }, () => limiter.take('user-1')))
  t.equal(verdicts.filter(({ allowed }) => allowed).length, 5)
  t.same(
    verdicts.map(({ remaining }) => remaining),
    [4, 3, 2, 1, 0, 0, 0, 0],
  )
  const refused = verdicts.at(-1)
  t.match(refused, { allowed: false, degraded: false, limit: 5 })
  t.ok((refused?.resetMs ?? 0) > 0 && (refused?.resetMs ?? 0) <= 2 * WINDOW_MS)
  t.equal((await limiter.take('user-2')).allowed, true, 'another key has its own')
})

t.test('two processes share a limit', async (t) => {
  const other = await openRedis({ url: server.url, commandTimeoutMs: PATIENT_MS })
  t.teardown(() => other.close())
  await eventually(() => other.up)
  const options = { name: 'shared', limit: 4, windowMs: WINDOW_MS }
  const [one, two] = [createRateLimiter(redis, options), createRateLimiter(other, options)]
  const allowed: boolean[] = []
  for (let round = 0; round < 4; round++) {
    allowed.push((await one.take('k')).allowed, (await two.take('k')).allowed)
  }
  t.equal(allowed.filter(Boolean).length, 4)
})

t.test(
  'the window slides: a burst at its end still counts after it, and what was refused does not',
  async (t) => {
    const windowMs = 2_000
    const limiter = createRateLimiter(redis, { name: 'slide', limit: 10, windowMs })
    const allowed = async (key: string, times: number) => {
      const verdicts = await Promise.all(Array.from({ length: times }, () => limiter.take(key)))
      return verdicts.filter((verdict) => verdict.allowed).length
    }
    /** How many windows have begun until now, by the clock of Redis; a fraction. */
    const now = async () => {
      const [seconds, micros] = await redis.client.time()
      return (Number(seconds) * 1_000 + Number(micros) / 1_000) / windowMs
    }
    const reach = (moment: number) => eventually(async () => (await now()) >= moment, { everyMs: 5 })
    let rounds = 0
    // what counts is what a window has let through in time: a machine that stood still meanwhile shows nothing
    const [first, second, third] = await eventually(async () => {
      const key = `k${rounds++}`
      const begin = Math.ceil(await now())
      await reach(begin + 0.7)
      const first = await allowed(key, 60)
      const filledIn = (await now()) < begin + 1
      await reach(begin + 1)
      const second = await allowed(key, 10)
      const secondIn = (await now()) < begin + 1.4
      await reach(begin + 1.6)
      const third = await allowed(key, 1)
      return filledIn && secondIn && (await now()) < begin + 1.8 && [first, second, third]
    })
    t.equal(first, 10)
    t.ok(second < 5, `a fixed window would let 10 through, this one ${second}`)
    t.equal(third, 1, 'sixty refused ones would still be in the way')
  },
)

t.test('a single-use ticket is good once', async (t) => {
  const tickets = createTickets(redis, { purpose: 'sse', use: 'once' })
  const { ticket, expiresAt } = await tickets.issue({ tenant: 't', user: 'u' })
  t.ok(expiresAt.getTime() > Date.now())
  const shown = await Promise.all([tickets.redeem(ticket), tickets.redeem(ticket)])
  t.same(
    shown.filter((claims) => claims !== undefined),
    [{ tenant: 't', user: 'u' }],
  )
  t.equal(await tickets.redeem('x'.repeat(43)), undefined)
  t.equal(await tickets.redeem('*'), undefined)
  const other = createTickets(redis, { purpose: 'upload', use: 'once' })
  t.equal(await other.redeem((await tickets.issue({})).ticket), undefined, 'not for another purpose')
})

t.test('a session ticket is good for its session until it ends', async (t) => {
  const tickets = createTickets(redis, { purpose: 'session', use: 'session', ttlMs: PATIENT_MS })
  const { ticket } = await tickets.issue({ user: 'u' }, 'session-1')
  t.same(await tickets.redeem(ticket, 'session-1'), { user: 'u' })
  t.same(await tickets.redeem(ticket, 'session-1'), { user: 'u' })
  t.equal(await tickets.redeem(ticket, 'session-2'), undefined)
  t.equal(await tickets.redeem(ticket), undefined)
  const brief = createTickets(redis, { purpose: 'session', use: 'session', ttlMs: 200 })
  const ends = await brief.issue({ user: 'u' }, 'session-1')
  await eventually(async () => (await brief.redeem(ends.ticket, 'session-1')) === undefined)
})

/** Counts by itself, and after the first waits for no command, which would take `timeoutMs`. */
async function takesAtOnce(connection: RedisConnection, timeoutMs: number): Promise<boolean> {
  const limiter = createRateLimiter(connection, { name: 'away', limit: 2, windowMs: WINDOW_MS })
  const first = await limiter.take('k')
  const startedAt = performance.now()
  const verdicts = [first, await limiter.take('k'), await limiter.take('k')]
  const allowed = verdicts.map((verdict) => verdict.allowed)
  return (
    performance.now() - startedAt < timeoutMs &&
    verdicts.every(({ degraded }) => degraded) &&
    allowed.join() === 'true,true,false'
  )
}

t.test('stalled: limits go on locally after one slow command, the rest is told at once', async (t) => {
  const slow = await openRedis({ url: server.url, commandTimeoutMs: 2_500, restMs: PATIENT_MS })
  t.teardown(() => slow.close())
  await eventually(() => slow.up)
  await server.kill('SIGSTOP')
  t.teardown(() => server.kill('SIGCONT'))
  t.ok(await takesAtOnce(slow, 2_500))
  const tickets = createTickets(slow, { purpose: 'x', use: 'once' })
  await t.rejects(tickets.issue({}), { code: 'UNAVAILABLE' })
  t.equal((await slow.health()).up, false)
  await server.kill('SIGCONT')
  await eventually(async () => (await slow.health()).up)
})

t.test('killed: degraded at once and visible, whole again when it is back', async (t) => {
  t.equal((await redis.health()).up, true)
  await server.kill('SIGKILL')
  await eventually(() => !redis.up)
  t.same(await redis.health(), { up: false })
  t.ok(await takesAtOnce(redis, PATIENT_MS))
  const tickets = createTickets(redis, { purpose: 'x', use: 'once' })
  await t.rejects(tickets.redeem('x'.repeat(43)), { name: 'RedisError', code: 'UNAVAILABLE' })
  const lonely = await openRedis({ url: server.url })
  t.teardown(() => lonely.close())
  t.equal(lonely.up, false, 'opening does not wait for it')
  await server.restart()
  await eventually(() => redis.up && lonely.up)
  t.same(statuses, ['up', 'down', 'up'])
  const limiter = createRateLimiter(redis, { name: 'back', limit: 2, windowMs: WINDOW_MS })
  t.match(await limiter.take('k'), { allowed: true, degraded: false })
})
