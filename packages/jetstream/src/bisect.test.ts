import fc from 'fast-check'
import t from 'tap'
import { bisect } from './bisect.js'
import type { Delivery } from './delivery-buffer.js'

const delivery = (sequence: number): Delivery =>
  ({ received: { sequence }, reply: '', leasedAt: 0 }) as unknown as Delivery

t.test('finds exactly the messages that throw alone and handles every other one once', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.nat(300), { minLength: 2, maxLength: 120 }),
      fc.array(fc.nat(300), { maxLength: 5 }),
      async (sequences, bad) => {
        const poison = new Set(bad)
        const handled: number[] = []
        const result = await bisect(sequences.map(delivery), async (part) => {
          const numbers = part.map(({ received }) => received.sequence)
          if (numbers.some((number) => poison.has(number))) return { ok: false, error: new Error('poison') }
          handled.push(...numbers)
          return { ok: true }
        })
        const open = result.open.map(({ received }) => received.sequence)
        const found = result.poison.map((entry) => entry.delivery.received.sequence)
        const all = [...handled, ...open, ...found].sort((a, b) => a - b)
        t.same(
          all,
          [...sequences].sort((a, b) => a - b),
          'every message once',
        )
        return found.every((number) => poison.has(number))
      },
    ),
    { numRuns: 50 },
  )
})

t.test('gives up after a few throws when nothing at all goes well', async (t) => {
  let throws = 0
  const result = await bisect(
    Array.from({ length: 500 }, (_, index) => delivery(index)),
    async () => {
      throws++
      return { ok: false, error: new Error('database away') }
    },
  )
  t.ok(throws <= 11, `${throws} throws`)
  t.match(result, { anySuccess: false, poison: [] })
  t.equal(result.open.length, 500)
})
