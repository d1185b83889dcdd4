import fc from 'fast-check'
import t from 'tap'
import { type Asked, judgeVerdict } from './judge-verdict.js'
import type { AttemptVerdict } from './send-claimed.js'

const NOW = 1_790_000_000_000
const delivery = {
  runId: 'r',
  id: 'd',
  attempt: 1,
  maxAttempts: 3,
  attemptsEach: 3,
  expiresAt: null as Date | null,
}
const asked: Asked = { provider: 'smtp', account: 'first', accountsLeft: 0 }
const rules = { nowMs: NOW, baseMs: 1_000, notBeforeMs: 0, random: () => 0.5 }
const judge = (
  verdict: AttemptVerdict,
  more: Partial<typeof delivery> = {},
  ruled: Partial<typeof rules> = {},
  left = 0,
) => judgeVerdict({ ...delivery, ...more }, verdict, { ...asked, accountsLeft: left }, { ...rules, ...ruled })

t.test('each verdict has its end', async (t) => {
  t.match(judge({ kind: 'accepted', providerId: 'p1' }), {
    status: 'sent',
    reason: null,
    providerId: 'p1',
    dueAtMs: null,
  })
  t.match(judge({ kind: 'address', reason: 'UNREGISTERED' }), { status: 'failed', reason: 'ADDRESS_INVALID' })
  t.match(judge({ kind: 'message', reason: 'too large' }), { status: 'failed', reason: 'PAYLOAD_INVALID' })
  t.match(judge({ kind: 'message', reason: 'EXPIRED' }), { status: 'expired', reason: 'EXPIRED' })
})

t.test('a retry waits as long as the provider says', async (t) => {
  t.match(judge({ kind: 'retry', reason: '429', afterMs: 60_000 }), {
    status: 'retrying',
    dueAtMs: NOW + 60_000,
  })
})

t.test('the last attempt that finds nobody ends the delivery', async (t) => {
  t.match(judge({ kind: 'retry', reason: '503' }, { attempt: 3 }), {
    status: 'failed',
    reason: 'PROVIDER_UNAVAILABLE',
  })
  t.match(judge({ kind: 'unknown', reason: 'timeout' }, { attempt: 3 }), { status: 'failed' })
})

t.test('after the last attempt of an account the next one is asked at once, with as many', async (t) => {
  t.match(judge({ kind: 'retry', reason: '503', afterMs: 60_000 }, { attempt: 3 }, {}, 1), {
    status: 'retrying',
    givesUpAccount: true,
    dueAtMs: NOW,
    extraAttempts: 3,
  })
  t.match(judge({ kind: 'retry', reason: '503' }, { attempt: 2 }, {}, 1), { givesUpAccount: false })
  const first = judge({ kind: 'retry', reason: '503' }, { attempt: 1 })
  const again = judge({ kind: 'retry', reason: '503' }, { attempt: 4, maxAttempts: 6 })
  t.equal(again.dueAtMs, first.dueAtMs, 'whose first pause is a first pause')
})

t.test('where nobody was asked there was no attempt', async (t) => {
  const held = judgeVerdict(
    delivery,
    { kind: 'config', reason: 'the circuit is open' },
    { provider: 'smtp', account: null, accountsLeft: 0 },
    { ...rules, notBeforeMs: NOW + 5_000 },
  )
  t.match(held, { status: 'retrying', uncounted: true, extraAttempts: 0, dueAtMs: NOW + 5_000 })
})

t.test('what its account books for later costs no attempt', async (t) => {
  t.match(judge({ kind: 'paced', reason: 'booked', atMs: NOW + 5_000 }, { attempt: 3 }), {
    status: 'retrying',
    reason: 'THROTTLED',
    dueAtMs: NOW + 5_000,
    pacedAtMs: NOW + 5_000,
    uncounted: true,
  })
  const expiresAt = new Date(NOW + 1_000)
  t.match(judge({ kind: 'paced', reason: 'booked', atMs: NOW + 5_000 }, { expiresAt }), {
    status: 'expired',
  })
})

t.test('no attempt is planned for after the notification expires', async (t) => {
  const expiresAt = new Date(NOW + 1_000)
  t.match(judge({ kind: 'retry', reason: '503', afterMs: 1_000 }, { expiresAt }), {
    status: 'expired',
    reason: 'EXPIRED',
    dueAtMs: null,
  })
})

t.test('a refused credential costs no attempt and waits for its hold', async (t) => {
  t.match(judge({ kind: 'config', reason: 'revoked' }, { attempt: 3 }, { notBeforeMs: NOW + 60_000 }), {
    status: 'retrying',
    reason: 'CONFIGURATION',
    dueAtMs: NOW + 60_000,
    extraAttempts: 1,
  })
})

t.test('whatever the verdict: a due time exactly while it retries, and never in the past', async (t) => {
  const verdict = fc.oneof(
    fc.record({ kind: fc.constant('retry' as const), reason: fc.string(), afterMs: fc.nat(1e9) }),
    fc.record({
      kind: fc.constantFrom('unknown' as const, 'config' as const, 'message' as const, 'address' as const),
      reason: fc.string(),
    }),
    fc.constant({ kind: 'accepted' as const }),
  )
  const random = fc.double({ min: 0, max: 0.999, noNaN: true })
  fc.assert(
    fc.property(
      verdict,
      fc.integer({ min: 1, max: 10 }),
      random,
      fc.option(fc.nat(1e9)),
      (given, attempt, chance, expires) => {
        const closed = judge(
          given,
          { attempt, expiresAt: expires === null ? null : new Date(NOW + expires) },
          { random: () => chance },
        )
        if (closed.status === 'retrying') return closed.dueAtMs !== null && closed.dueAtMs >= NOW
        return closed.dueAtMs === null && (closed.status === 'sent' || closed.reason !== null)
      },
    ),
    { numRuns: 2_000 },
  )
  t.pass('2,000 cases')
})
