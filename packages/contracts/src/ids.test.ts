import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { isUuid } from './decode-messages.js'
import {
  canonicalInput,
  deliveryId,
  deviceId,
  eventHash,
  eventRowId,
  hashUuid,
  lowestIdAt,
  runId,
  timedUuid,
  timeOfId,
  userId,
} from './ids.js'

interface Vector {
  note: string
  kind: string
  parts: string[]
  timeMs: number | null
  input: string
  sha256: string
  uuid: string
}

const sha256 = (input: string): Uint8Array => createHash('sha256').update(input, 'utf8').digest()
const vectors = JSON.parse(
  readFileSync(new URL('../../vectors/ids.json', import.meta.url), 'utf8'),
) as Vector[]

/** What the package's own functions make of a vector's parts. */
function derive({ kind, parts, timeMs }: Vector): string {
  const [first = '', second = '', third = ''] = parts
  const event = { tenant: first, source: second, id: third }
  if (kind === 'event') return eventRowId(timeMs as number, eventHash(sha256, event))
  if (kind === 'delivery') return deliveryId(sha256, { run: first, step: Number(second), address: third })
  if (kind === 'user') return userId(sha256, first, second)
  if (kind === 'device') return deviceId(sha256, first, second, third)
  return runId(sha256, {
    firstSeenMs: timeMs as number,
    eventRow: first,
    workflow: second,
    recipient: third,
  })
}

t.test('derives the published vectors, which were computed by another program', async (t) => {
  t.ok(vectors.length >= 12)
  for (const vector of vectors) {
    const input = canonicalInput(vector.kind, vector.parts)
    t.equal(input, vector.input, `${vector.note}: canonical input`)
    const hash = sha256(input)
    t.equal(Buffer.from(hash).toString('hex'), vector.sha256, `${vector.note}: hash`)
    t.equal(derive(vector), vector.uuid, `${vector.note}: id`)
  }
  t.equal(new Set(vectors.map(({ uuid }) => uuid)).size, vectors.length, 'no two are the same')
})

t.test('different parts never share a canonical input', async (t) => {
  const parts = fc.array(fc.string({ unit: 'binary', maxLength: 12 }), { maxLength: 4 })
  // short alphabets of what the format itself is made of find ambiguities fastest
  const hostile = fc.array(fc.string({ unit: fc.constantFrom('0', '1', '2', ':', 'a'), maxLength: 6 }), {
    maxLength: 4,
  })
  fc.assert(
    fc.property(fc.oneof(parts, hostile), fc.oneof(parts, hostile), (one, other) => {
      const same = JSON.stringify(one) === JSON.stringify(other)
      return (canonicalInput('event', one) === canonicalInput('event', other)) === same
    }),
    { numRuns: 5_000 },
  )
  t.not(canonicalInput('a', ['1:b']), canonicalInput('a', ['', 'b']))
  t.not(canonicalInput('run', ['x']), canonicalInput('ru', ['nx']))
  t.comment('5000 cases')
})

const MOMENT = fc.integer({ min: 0, max: 2 ** 48 - 1 })
const HASH = fc.uint8Array({ minLength: 32, maxLength: 32 })

t.test('timed ids sort by their moment and tell it', async (t) => {
  fc.assert(
    fc.property(MOMENT, MOMENT, HASH, HASH, (at, later, hash, otherHash) => {
      const [first, second] = [Math.min(at, later), Math.max(at, later)]
      const id = timedUuid(first, hash)
      if (timeOfId(id) !== first || !isUuid(id) || id[14] !== '8' || !'89ab'.includes(id.charAt(19)))
        return false
      return first === second || id < timedUuid(second, otherHash)
    }),
    { numRuns: 5_000 },
  )
  t.comment('5000 cases')
})

t.test('the lowest id of a moment bounds every id of it and none before', async (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 48 - 1 }), HASH, (at, hash) => {
      const bound = lowestIdAt(at)
      return bound <= timedUuid(at, hash) && timedUuid(at - 1, hash) < bound && timeOfId(bound) === at
    }),
    { numRuns: 5_000 },
  )
  t.comment('5000 cases')
})

t.test('a delivery carries the moment of its run, whatever its address', async (t) => {
  fc.assert(
    fc.property(MOMENT, HASH, fc.nat(50), fc.string(), (at, hash, step, address) => {
      const run = timedUuid(at, hash)
      return timeOfId(deliveryId(sha256, { run, step, address })) === at
    }),
  )
  const run = timedUuid(5, new Uint8Array(32))
  t.not(
    deliveryId(sha256, { run, step: 1, address: '2x' }),
    deliveryId(sha256, { run, step: 12, address: 'x' }),
  )
})

t.test('version and variant stand whatever the hash says', async (t) => {
  t.equal(hashUuid(new Uint8Array(32)), '00000000-0000-8000-8000-000000000000')
  t.equal(hashUuid(new Uint8Array(32).fill(255)), 'ffffffff-ffff-8fff-bfff-ffffffffffff')
  t.equal(timedUuid(2 ** 48 - 1, new Uint8Array(32).fill(255)), 'ffffffff-ffff-8fff-bfff-ffffffffffff')
  t.equal(
    timedUuid(-5, new Uint8Array(32)),
    '00000000-0000-8000-8000-000000000000',
    'no moment before the first',
  )
  t.equal(timeOfId(timedUuid(1234.9, new Uint8Array(32))), 1234, 'fractions of a millisecond are dropped')
})
