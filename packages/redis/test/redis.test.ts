import { eventually, useRedis } from '@carillon/testkit'
import t from 'tap'
import { createRateLimiter, createTickets, openRedis, type RedisConnection } from '../src/index.js'

const server = await useRedis(t)
const statuses: string[] = []
const redis = await openRedis({ url: server.url, name: 'test', onStatus: ({ kind }) => statuses.push(kind) })
t.teardown(() => redis.close())

t.test('a limit lets through what it says and tells when there is room again', async (t) => {
  const limiter = createRateLimiter(redis, { name: 'a', limit: 5, windowMs: 60_000 })
  const verdicts = await Promise.all(Array.from({ length: 8 }, () => limiter.take('user-1')))
  t.equal(verdicts.filter(({ allowed }) => allowed).length, 5)
  t.same(
    verdicts.map(({ remaining }) => remaining),
    [4, 3, 2, 1, 0, 0, 0, 0],
  )
  const refused = verdicts.at(-1)
  t.match(refused, { allowed: false, degraded: false, limit: 5 })
  t.ok((refused?.resetMs ?? 0) > 0 && (refused?.resetMs ?? 0) <= 120_000)
  t.equal((await limiter.take('user-2')).allowed, true, 'another key has its own')
})

t.test('two processes share a limit', async (t) => {
  const other = await openRedis({ url: server.url })
  t.teardown(() => other.close())
  const options = { name: 'shared', limit: 4, windowMs: 60_000 }
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
    const limiter = createRateLimiter(redis, { name: 'slide', limit: 10, windowMs: 1_000 })
    await eventually(() => Date.now() % 1_000 > 700 && Date.now() % 1_000 < 900, { everyMs: 5 })
    for (let index = 0; index < 10; index++) await limiter.take('k')
    for (let index = 0; index < 50; index++) await limiter.take('k')
    await eventually(() => Date.now() % 1_000 < 300, { everyMs: 5 })
    const next = []
    for (let index = 0; index < 10; index++) next.push((await limiter.take('k')).allowed)
    const through = next.filter(Boolean).length
    t.ok(through < 8, `a fixed window would let 10 through, this one ${through}`)
    const refused = await limiter.take('k')
    t.equal(refused.allowed, false)
    await eventually(async () => (await limiter.take('k')).allowed, { timeoutMs: 3_000 })
    t.pass('and lets through again')
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
  const tickets = createTickets(redis, { purpose: 'session', use: 'session', ttlMs: 200 })
  const { ticket } = await tickets.issue({ user: 'u' }, 'session-1')
  t.same(await tickets.redeem(ticket, 'session-1'), { user: 'u' })
  t.same(await tickets.redeem(ticket, 'session-1'), { user: 'u' })
  t.equal(await tickets.redeem(ticket, 'session-2'), undefined)
  t.equal(await tickets.redeem(ticket), undefined)
  await eventually(async () => (await tickets.redeem(ticket, 'session-1')) === undefined)
})

async function takesAtOnce(connection: RedisConnection): Promise<boolean> {
  const limiter = createRateLimiter(connection, { name: 'away', limit: 2, windowMs: 60_000 })
  const startedAt = Date.now()
  const verdicts = [await limiter.take('k'), await limiter.take('k'), await limiter.take('k')]
  const allowed = verdicts.map((verdict) => verdict.allowed)
  return (
    Date.now() - startedAt < 1_000 &&
    verdicts.every(({ degraded }) => degraded) &&
    allowed.join() === 'true,true,false'
  )
}

t.test('stalled: limits go on locally after one slow command, the rest is told at once', async (t) => {
  const slow = await openRedis({ url: server.url, commandTimeoutMs: 100 })
  t.teardown(() => slow.close())
  await server.kill('SIGSTOP')
  t.teardown(() => server.kill('SIGCONT'))
  t.ok(await takesAtOnce(slow))
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
  t.ok(await takesAtOnce(redis))
  const tickets = createTickets(redis, { purpose: 'x', use: 'once' })
  await t.rejects(tickets.redeem('x'.repeat(43)), { name: 'RedisError', code: 'UNAVAILABLE' })
  const lonely = await openRedis({ url: server.url })
  t.teardown(() => lonely.close())
  t.equal(lonely.up, false, 'opening does not wait for it')
  await server.restart()
  await eventually(() => redis.up && lonely.up)
  t.same(statuses, ['up', 'down', 'up'])
  const limiter = createRateLimiter(redis, { name: 'back', limit: 2, windowMs: 60_000 })
  t.match(await limiter.take('k'), { allowed: true, degraded: false })
})
