import t from 'tap'
import { answerFor, claimsFor, rideOfChannel } from './channel-answer.js'
import { latestOf, rightsIn, roomOf } from './conversation.js'

const HOUR = 3_600_000
const now = Date.parse('2026-11-21T12:00:00Z')
const id = '0b5f9f0e-3c1d-4f55-9d4a-6a2f3b0c7d11'
const base = {
  id,
  state: 'accepted' as const,
  customerId: 'ada',
  customer: 'Ada',
  driverId: 'mira',
  driver: 'Mira',
  car: 'white van',
  from: 'Station',
  to: 'Harbour',
  city: 'graz',
  minutes: 4,
  amountCents: 1250,
  currency: 'EUR',
  completedAt: null,
}
const requested = { ...base, state: 'requested' as const, driverId: null, driver: null }
const over = (hours: number) => ({
  ...base,
  state: 'paid' as const,
  completedAt: new Date(now - hours * HOUR),
})
const ask = (channel: string, user: string, publish?: unknown) => ({
  channel,
  user,
  action: publish === undefined ? ('subscribe' as const) : ('publish' as const),
  ...(publish === undefined ? {} : { data: publish }),
})

t.test('rider and driver write while the ride goes on and read for a day after it', async (t) => {
  for (const user of ['ada', 'mira']) {
    t.match(rightsIn(base, user, now), { read: true, write: true, follow: true, readUntil: null })
    t.match(rightsIn(over(23.9), user, now), { read: true, write: false, follow: false })
    t.match(rightsIn(over(24), user, now), { read: false, write: false, follow: false })
  }
  t.equal(rightsIn(base, 'ada', now)?.role, 'customer')
  t.equal(rightsIn(base, 'mira', now)?.role, 'driver')
  t.match(rightsIn(requested, 'ada', now), { read: false, write: false, follow: false })
  t.equal(rightsIn(base, 'eve', now), undefined)
  t.equal(rightsIn(requested, '', now), undefined, 'nobody is not the driver that there is none of')
})

t.test(
  'only the two are let into the channels of their ride, and say nothing there but that they type',
  async (t) => {
    const [room, latest] = [roomOf(id), latestOf(id)]
    t.strictSame(answerFor(base, ask(room, 'ada'), now), {
      allow: true,
      expiresInSeconds: 300,
      info: { role: 'customer' },
    })
    t.strictSame(answerFor(base, ask(latest, 'ada'), now), {
      allow: true,
      expiresInSeconds: 30,
      info: { role: 'customer' },
    })
    for (const channel of [room, latest]) {
      t.strictSame(answerFor(base, ask(channel, 'eve'), now), { allow: false })
      t.strictSame(answerFor(undefined, ask(channel, 'ada'), now), { allow: false })
    }
    const typing = { type: 'typing', by: 'ada' }
    t.strictSame(answerFor(base, ask(latest, 'ada', typing), now), { allow: true })
    t.strictSame(
      answerFor(base, ask(latest, 'mira', typing), now),
      { allow: false },
      'nobody types for another',
    )
    t.strictSame(answerFor(base, ask(room, 'ada', typing), now), { allow: false })
    t.strictSame(answerFor(base, ask(room, 'ada', { type: 'message', from: 'mira' }), now), { allow: false })
    t.strictSame(answerFor(base, ask(latest, 'mira', { type: 'location' }), now), { allow: false })

    const ended = over(23.99)
    t.strictSame(
      answerFor(ended, ask(room, 'ada'), now),
      { allow: true, expiresInSeconds: 36, info: { role: 'customer' } },
      'not beyond the day',
    )
    t.equal(answerFor(ended, ask(latest, 'ada'), now).allow, false)
    t.equal(answerFor(ended, ask(latest, 'ada', typing), now).allow, false)
    t.equal(answerFor(over(24), ask(room, 'ada'), now).allow, false)
  },
)

t.test('a token says the same for who is not asked about', async (t) => {
  const claims = (ride: Parameters<typeof claimsFor>[0]) => {
    const rights = rightsIn(ride, 'ada', now)
    if (rights === undefined) throw new Error('ada has a part in it')
    return claimsFor(ride, rights, now)
  }
  t.strictSame(
    claims(base).map(({ channel, permissions }) => [channel, permissions]),
    [
      [roomOf(id), ['subscribe', 'presence', 'history']],
      [latestOf(id), ['subscribe']],
    ],
    'nothing that a client could say for another',
  )
  t.strictSame(
    claims(over(23.99)).map(({ channel, ttlSeconds }) => [channel, ttlSeconds]),
    [[roomOf(id), 60]],
    'the least that Carillon gives',
  )
  t.equal(claims(over(23.9))[0]?.ttlSeconds, 360)
})

t.test('only channels of rides have a ride', async (t) => {
  t.equal(rideOfChannel(roomOf(id)), id)
  t.equal(rideOfChannel(latestOf(id)), id)
  for (const other of [
    'room:ride-9',
    `room:ride-${id}-x`,
    `user:ride-${id}`,
    `room:rides-${id}`,
    '',
    'room:ride-',
  ])
    t.equal(rideOfChannel(other), undefined, other)
})
