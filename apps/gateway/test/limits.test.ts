import { openRedis } from '@carillon/redis'
import { eventually, useRedis } from '@carillon/testkit'
import t from 'tap'
import { createLocalLimiter, type RateLimiter } from '../src/limits.js'
import { createSharedLimiter } from '../src/shared-limits.js'

const allowedOf = async (
  limiters: RateLimiter[],
  times: number,
  limit: number,
  points?: number,
): Promise<number> => {
  // much longer than a busy machine takes: at the border of two windows, by the clock of Redis, some more are allowed
  const policy = { limit, windowMs: 86_400_000 }
  const taken = await Promise.all(
    Array.from({ length: times }, (_, n) =>
      (limiters[n % limiters.length] as RateLimiter).take(`name-${limit}`, policy, points),
    ),
  )
  return taken.filter((one) => one.allowed).length
}

t.test('two gateways share a limit through Redis, and each counts for itself while it is away', async (t) => {
  const server = await useRedis(t)
  // patient, so that a busy machine is not taken for a Redis that is away
  const redis = await openRedis({ url: server.url, commandTimeoutMs: 10_000 })
  t.teardown(() => redis[Symbol.asyncDispose]())
  await eventually(() => redis.up)
  // one moment: in the next window some are allowed again
  const now = Date.now()
  const two = [createSharedLimiter(redis, () => now), createSharedLimiter(redis, () => now)]
  t.equal(await allowedOf(two, 30, 10), 10)
  t.equal(await allowedOf(two, 6_000, 5_000), 5_000, 'also when shares of it are taken')
  t.equal(await allowedOf(two, 30, 100, 10), 10, 'of ten points each')
  t.equal(await allowedOf(two, 200, 9_000, 90), 100, 'more than a share at once')
  const mixed = await allowedOf(two, 1_200, 8_001, 7)
  t.ok(
    mixed >= 1_141 && mixed <= 1_143,
    `${mixed} from shares of eight, what is left of each added to the next`,
  )
  await server.stop()
  const allowed = await allowedOf(two, 60, 20)
  t.ok(allowed >= 20 && allowed <= 40, `${allowed} of 60`)
})

t.test('the local window slides: a burst at its end counts into the next one', async (t) => {
  let now = 1_000_000 * 60_000
  const limiter = createLocalLimiter(() => now)
  const policy = { limit: 10, windowMs: 60_000 }
  const take = () => limiter.take('a', policy) as { allowed: boolean; resetMs: number }
  now += 59_000
  for (let n = 0; n < 10; n++) t.equal(take().allowed, true)
  t.match(take(), { allowed: false, resetMs: 1_000 })
  now += 1_000
  t.equal(take().allowed, false)
  now += 30_000
  t.equal((limiter.take('a', policy, 6) as { allowed: boolean }).allowed, false, 'whole or not at all')
  t.equal((limiter.take('a', policy, 3) as { allowed: boolean }).allowed, true)
  let allowed = 0
  while (take().allowed) allowed++
  t.equal(allowed, 2)
})
