import fc from 'fast-check'
import t from 'tap'
import { calendar, NOW, workflowOf } from './fixtures/facts.js'
import { type DigestStep, joinDigest, type OpenDigest } from './index.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const stepOf = (digest: object, at = 0): DigestStep =>
  workflowOf({ steps: [{ digest }, 'inbox'] }).steps[at] as DigestStep

interface Item {
  id: string
  at: number
  person: string
  key: string
}

interface Gathered {
  items: Item[]
  openedAt: number
  closesAt: number
}

/**
 * The mesh around the fold: one row a person and key, a run joins once however often it is delivered, and whoever wakes
 * closes what is due.
 */
function createGathering(step: DigestStep) {
  const rows = new Map<string, OpenDigest>()
  const digests = new Map<string, Gathered>()
  const closed = new Set<string>()
  const flushed: string[] = []
  const claimed = new Set<string>()
  const closeDue = (now: number) => {
    for (const [row, open] of rows) {
      if (open.closesAt > now) continue
      rows.delete(row)
      if (open.digestId !== null) closed.add(open.digestId)
    }
  }
  const join = (item: Item) => {
    if (claimed.has(item.id)) return
    claimed.add(item.id)
    const row = `${item.person} ${item.key}`
    const present = rows.get(row)
    const joined = joinDigest(present, {
      step,
      timezone: 'Europe/Vienna',
      now: item.at,
      calendar,
      digestId: item.id,
    })
    if (present !== undefined && present.closesAt <= item.at && present.digestId !== null)
      closed.add(present.digestId)
    if (joined.open === undefined) rows.delete(row)
    else rows.set(row, joined.open)
    if (joined.kind === 'flushed') {
      flushed.push(item.id)
      return
    }
    if (closed.has(joined.digestId)) throw new Error(`${item.id} went into a closed digest`)
    if (joined.opens === digests.has(joined.digestId)) throw new Error('a digest is opened once')
    const digest = digests.get(joined.digestId) ?? {
      items: [],
      openedAt: joined.open?.openedAt ?? item.at,
      closesAt: 0,
    }
    digest.items.push(item)
    digest.closesAt = joined.closesAt
    digests.set(joined.digestId, digest)
    if (joined.open === undefined) closed.add(joined.digestId)
  }
  return { join, closeDue, digests, flushed, closed }
}

const WINDOWS = [
  { window: '10m' },
  { sliding: '5m', atMost: '20m' },
  { at: '13:05' },
  { at: '13:05', days: ['sun', 'mon'] },
] as const
const STEPS = WINDOWS.flatMap((window) =>
  [2, 5, 1000].flatMap((maxItems) =>
    [false, true].map((flushFirst) => stepOf({ ...window, maxItems, flushFirst, key: 'data.key' })),
  ),
)
const stream = fc.array(
  fc.record({
    /** Seconds since the one before: often none. */
    gap: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 1200 })),
    person: fc.constantFrom('ada', 'bob'),
    key: fc.constantFrom('a', 'b'),
    redelivered: fc.boolean(),
    closes: fc.boolean(),
  }),
  { minLength: 1, maxLength: 60 },
)

t.test('every item is in exactly one digest, whatever comes when and however often', async (t) => {
  let cases = 0
  let items = 0
  fc.assert(
    fc.property(fc.constantFrom(...STEPS), stream, fc.infiniteStream(fc.nat()), (step, arrivals, chance) => {
      cases++
      const gathering = createGathering(step)
      const all: Item[] = []
      let now = NOW
      for (const { gap, person, key, redelivered, closes } of arrivals) {
        now += gap * 1_000
        if (closes) gathering.closeDue(now)
        const item = { id: `i${all.length}`, at: now, person, key }
        all.push(item)
        gathering.join(item)
        // an older one comes again, as it was
        if (redelivered)
          gathering.join({ ...(all[(chance.next().value as number) % all.length] as Item), at: now })
      }
      items += all.length
      const places = [
        ...gathering.flushed,
        ...[...gathering.digests.values()].flatMap((digest) => digest.items.map(({ id }) => id)),
      ]
      if (places.length !== all.length || new Set(places).size !== all.length) return false
      return [...gathering.digests.values()].every(({ items, openedAt, closesAt }) => {
        const last = items.at(-1) as Item
        const alike = new Set(items.map(({ person, key }) => `${person} ${key}`)).size === 1
        const { window } = step
        const inTime =
          window.kind === 'scheduled' ||
          last.at < openedAt + (window.kind === 'fixed' ? window.ms : window.atMostMs)
        const bounded = window.kind !== 'sliding' || closesAt <= openedAt + window.atMostMs
        return alike && inTime && bounded && items.length <= step.maxItems && last.at <= closesAt
      })
    }),
    { numRuns: 1_500 },
  )
  t.comment(`${cases} cases, ${items} items`)
})

t.test('the fold is the same whether somebody closes in time or nobody does', async (t) => {
  let cases = 0
  fc.assert(
    fc.property(fc.constantFrom(...STEPS), stream, (step, arrivals) => {
      cases++
      const [prompt, late] = [createGathering(step), createGathering(step)]
      let now = NOW
      arrivals.forEach(({ gap, person, key }, index) => {
        now += gap * 1_000
        prompt.closeDue(now)
        for (const one of [prompt, late]) one.join({ id: `i${index}`, at: now, person, key })
      })
      const told = ({ digests, flushed }: typeof prompt) => JSON.stringify([[...digests], flushed])
      return told(prompt) === told(late)
    }),
    { numRuns: 500 },
  )
  t.comment(`${cases} cases`)
})

const item = (id: string, at: number, key = '', person = 'ada'): Item => ({ id, at, key, person })
const sizes = ({ digests }: ReturnType<typeof createGathering>) =>
  [...digests.values()].map(({ items }) => items.length)

t.test('what comes in the same moment is told once', async (t) => {
  const gathering = createGathering(stepOf({ window: '10m' }))
  for (let index = 0; index < 20; index++) gathering.join(item(`i${index}`, NOW))
  t.strictSame(sizes(gathering), [20])
})

t.test('nothing strays: 350 items are one digest while there is room for them', async (t) => {
  for (const digest of [{ window: '10m' }, { sliding: '1m', atMost: '20m' }]) {
    const gathering = createGathering(stepOf({ ...digest, maxItems: 1000 }))
    for (let index = 0; index < 350; index++) gathering.join(item(`i${index}`, NOW + index * 1_000))
    gathering.closeDue(NOW + HOUR)
    t.strictSame(sizes(gathering), [350])
  }
})

t.test('keys and people are kept apart, though all come at once', async (t) => {
  const gathering = createGathering(stepOf({ window: '10m', key: 'data.key' }))
  for (let index = 0; index < 40; index++)
    gathering.join(item(`i${index}`, NOW, index % 2 === 0 ? 'a' : 'b', index % 4 < 2 ? 'ada' : 'bob'))
  t.strictSame(sizes(gathering), [10, 10, 10, 10])
})

t.test('a window is open up to its end and not at it', async (t) => {
  const gathering = createGathering(stepOf({ window: '10m' }))
  for (const at of [0, 10 * MINUTE - 1, 10 * MINUTE]) gathering.join(item(String(at), NOW + at))
  t.strictSame(sizes(gathering), [2, 1])
})

t.test('a full digest goes at once, and the next item begins another', async (t) => {
  const gathering = createGathering(stepOf({ window: '10m', maxItems: 3 }))
  for (let index = 0; index < 7; index++) gathering.join(item(`i${index}`, NOW + index))
  t.strictSame(sizes(gathering), [3, 3, 1])
  t.strictSame(
    [...gathering.digests.values()].map(({ closesAt }) => closesAt - NOW),
    [2, 5, 6 + 10 * MINUTE],
  )
})

t.test('the first one goes on alone when it is told to, and what follows is gathered', async (t) => {
  const gathering = createGathering(stepOf({ window: '10m', flushFirst: true }))
  for (const at of [0, 1, 2, 10 * MINUTE]) gathering.join(item(String(at), NOW + at))
  t.strictSame(gathering.flushed, ['0', String(10 * MINUTE)])
  t.strictSame(sizes(gathering), [2])
})

t.test('a sliding window stays open while something comes, up to its limit', async (t) => {
  const gathering = createGathering(stepOf({ sliding: '5m', atMost: '12m' }))
  for (const minute of [0, 4, 8, 11, 12, 18]) gathering.join(item(`i${minute}`, NOW + minute * MINUTE))
  t.strictSame(sizes(gathering), [4, 1, 1])
})

t.test('a scheduled digest closes at the local time of its person', async (t) => {
  const closes = (timezone: string) => {
    const joined = joinDigest(undefined, {
      step: stepOf({ at: '09:00' }),
      timezone,
      now: NOW,
      calendar,
      digestId: 'd',
    })
    return joined.kind === 'joined' && new Date(joined.closesAt).toISOString()
  }
  t.equal(closes('Europe/Vienna'), '2026-11-22T08:00:00.000Z')
  t.equal(closes('America/New_York'), '2026-11-21T14:00:00.000Z')
})
