import type { Outgoing } from '@carillon/channels'
import type { ClaimedDelivery, PaceBooking } from '@carillon/postgres'
import fc from 'fast-check'
import t from 'tap'
import type { ReadyAccount } from './accounts.js'
import { bookDepartures, type Departure } from './pacing.js'

const NOW = 1_790_000_000_000

/** What the database does, in memory: slots one after another. */
function createBooks(startMs = NOW) {
  const bookedUntil = new Map<string, number>()
  return async (bookings: readonly PaceBooking[]) =>
    bookings.map(({ key, count, perSecond }) => {
      const first = Math.max(bookedUntil.get(key) ?? startMs, startMs)
      bookedUntil.set(key, first + (count / perSecond) * 1000)
      return first
    })
}

function mail(
  to: string,
  settings: Record<string, unknown>,
  delivery: Partial<ClaimedDelivery> = {},
): Departure {
  const account = { provider: 'smtp', quota: 'acme mail', settings } as unknown as ReadyAccount
  return {
    delivery: { lane: 'normal', pacedAt: null, ...delivery } as ClaimedDelivery,
    outgoing: { address: { kind: 'email', email: to } } as unknown as Outgoing,
    account,
  }
}

t.test('what has no pace leaves at once and books nothing', async (t) => {
  const book = async () => t.fail('booked') as never
  t.same(await bookDepartures([mail('a@x.example', {})], { book, nowMs: NOW }), [0])
})

t.test('each mail domain has its own pace, and the account one for all', async (t) => {
  const settings = { domains: { 'slow.example': 0.5, '*': 1000 } }
  const departures = ['a@slow.example', 'b@Slow.example', 'c@fast.example', 'd@slow.example'].map((to) =>
    mail(to, settings),
  )
  t.same(await bookDepartures(departures, { book: createBooks(), nowMs: NOW }), [
    0,
    NOW + 2_000,
    0,
    NOW + 4_000,
  ])
  const both = [1, 2, 3].map((n) => mail(`${n}@x.example`, { perSecond: 0.5, domains: { '*': 1000 } }))
  t.same(await bookDepartures(both, { book: createBooks(), nowMs: NOW }), [0, NOW + 2_000, NOW + 4_000])
})

t.test('a one-time code takes a slot and does not wait for it', async (t) => {
  const settings = { perSecond: 0.1 }
  const departures = [
    mail('a@x.example', settings),
    mail('b@x.example', settings, { lane: 'high' }),
    mail('c@x.example', settings),
  ]
  t.same(await bookDepartures(departures, { book: createBooks(), nowMs: NOW }), [0, 0, NOW + 20_000])
})

t.test('who comes back for a booked slot goes; who missed it by far books again', async (t) => {
  const settings = { perSecond: 0.1 }
  const at = (ms: number) => mail('a@x.example', settings, { pacedAt: new Date(NOW + ms) })
  t.same(await bookDepartures([at(-2_000), at(-60_000), at(-60_000)], { book: createBooks(), nowMs: NOW }), [
    0,
    0,
    NOW + 10_000,
  ])
})

t.test('over any batches, no more leave in a second than the pace says', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 20 }),
      async (sizes, perSecond) => {
        const book = createBooks()
        const leaves: number[] = []
        for (const size of sizes) {
          const batch = Array.from({ length: size }, () => mail('a@x.example', { perSecond }))
          const slots = await bookDepartures(batch, { book, nowMs: NOW })
          leaves.push(...slots.map((slot) => (slot === 0 ? NOW : slot)))
        }
        const bySecond = new Map<number, number>()
        // what is due within the first second may leave early, so the first window holds two
        for (const at of leaves) {
          const second = Math.max(1, Math.ceil((at - NOW) / 1000))
          bySecond.set(second, (bySecond.get(second) ?? 0) + 1)
        }
        for (const [second, count] of bySecond) {
          const most = second === 1 ? 2 * perSecond + 2 : perSecond + 1
          if (count > most) throw new Error(`${count} leave in second ${second} at ${perSecond}/s`)
        }
      },
    ),
  )
})
