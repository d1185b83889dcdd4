import fc from 'fast-check'
import t from 'tap'
import { ContractError } from './errors.js'
import { deliveryDurable, dispatcherDurable, jobStream } from './streams.js'
import {
  auditSubject,
  deadLetterSubject,
  eventSubject,
  frameSubject,
  isChannel,
  isDeliveryChannel,
  isLane,
  jobSubject,
  liveSubject,
  MAX_TYPE_BYTES,
  MAX_TYPE_TOKENS,
  parseEventSubject,
  parseJobSubject,
  receiptSubject,
  typeToTokens,
} from './subjects.js'
import { assertToken, isToken } from './tokens.js'
import { DELIVERY_CHANNELS, LANES } from './words.js'

/** What NATS takes as one token and never reads as a wildcard. */
const SAFE = /^[^\s.*>\p{Cc}]+$/u

const BAD_TOKENS = [
  '',
  '*',
  '>',
  'a.b',
  'a b',
  'a\n',
  'A',
  'ä',
  'a_b',
  'a'.repeat(65),
  '%61',
  'a\u0000',
  '\u00a0',
]

t.test('refuses every token that would change what a subject means', async (t) => {
  for (const bad of BAD_TOKENS) {
    const shown = JSON.stringify(bad.slice(0, 10))
    t.notOk(isToken(bad), `${shown} is no token`)
    t.throws(() => assertToken(bad, 'tenant'), { code: 'TOKEN_INVALID', field: 'tenant' }, shown)
    for (const build of [
      () => eventSubject('high', bad, 'a.b'),
      () => jobSubject('push', 'high', bad),
      () => frameSubject(bad, 'user', 'u'),
      () => frameSubject('demo', 'room', bad),
      () => liveSubject(bad, 'user', 'u'),
      () => liveSubject('demo', 'user', bad),
      () => receiptSubject('push', 'opened', bad),
      () => auditSubject(bad, 'made', 'demo'),
      () => auditSubject('key', bad, 'demo'),
      () => auditSubject('key', 'made', bad),
      () => deadLetterSubject('EVENTS', 'dispatcher-high', bad),
    ]) {
      t.throws(build, { name: 'ContractError', code: 'TOKEN_INVALID' }, `${build.toString()} with ${shown}`)
    }
  }
  t.ok(isToken('a'.repeat(64)))
  t.ok(isToken('0-z'))
})

t.test('a refused token is quoted, but not at any length', async (t) => {
  try {
    assertToken('x'.repeat(100_000), 'tenant')
    t.fail('it was taken')
  } catch (error) {
    t.ok((error as Error).message.length < 300)
  }
})

t.test('every event type that is taken comes back from its subject', async (t) => {
  let taken = 0
  let refused = 0
  const part = fc.oneof(
    fc.string({ maxLength: 8 }),
    fc.string({ unit: 'grapheme', maxLength: 4 }),
    fc.constantFrom('', '*', '>', '%', '%2E', ' ', 'a b', '🚕', 'Größe', '%zz', '..'),
  )
  const type = fc.oneof(
    fc.array(part, { minLength: 1, maxLength: 14 }).map((parts) => parts.join('.')),
    fc.string({ minLength: 1, maxLength: 60 }),
  )
  fc.assert(
    fc.property(type, fc.constantFrom(...LANES), (type, lane) => {
      let subject: string
      try {
        subject = eventSubject(lane, 'demo', type)
      } catch (error) {
        refused++
        return error instanceof ContractError && error.code === 'EVENT_TYPE_INVALID' && error.field === 'type'
      }
      taken++
      const parsed = parseEventSubject(subject)
      if (!subject.split('.').every((token) => SAFE.test(token))) return false
      return parsed.type === type && parsed.lane === lane && parsed.tenant === 'demo'
    }),
    { numRuns: 5_000 },
  )
  t.ok(taken > 1_000)
  t.comment(`5000 cases: ${taken} taken, ${refused} refused`)
})

t.test('two types never share a subject', async (t) => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('a', '.', '%', '*', '2', 'A', 'ä'), minLength: 1, maxLength: 6 }),
      fc.string({ unit: fc.constantFrom('a', '.', '%', '*', '2', 'A', 'ä'), minLength: 1, maxLength: 6 }),
      (one, other) => (typeToTokens(one) === typeToTokens(other)) === (one === other),
    ),
    { numRuns: 5_000 },
  )
  t.comment('5000 cases')
})

t.test('keeps a type that is plain as it is and escapes what is not', async (t) => {
  t.equal(typeToTokens('rides.ride.accepted.v1'), 'rides.ride.accepted.v1')
  t.equal(typeToTokens('com.Example_x-1'), 'com.Example_x-1')
  t.equal(typeToTokens('*'), '%2A')
  t.equal(typeToTokens('a.>'), 'a.%3E')
  t.equal(typeToTokens('a b'), 'a%20b')
  t.equal(typeToTokens('a..b'), 'a.%.b')
  t.equal(typeToTokens('ö'), '%C3%B6')
})

t.test('refuses a type that is empty, has too many parts or too many bytes', async (t) => {
  const parts = (count: number) => Array.from({ length: count }, () => 'a').join('.')
  t.equal(typeToTokens(parts(MAX_TYPE_TOKENS)), parts(MAX_TYPE_TOKENS))
  t.throws(() => typeToTokens(parts(MAX_TYPE_TOKENS + 1)), { code: 'EVENT_TYPE_INVALID' })
  t.equal(typeToTokens('a'.repeat(MAX_TYPE_BYTES)).length, MAX_TYPE_BYTES)
  t.throws(() => typeToTokens('a'.repeat(MAX_TYPE_BYTES + 1)), { code: 'EVENT_TYPE_INVALID' })
  t.throws(() => typeToTokens('ö'.repeat(40)), { code: 'EVENT_TYPE_INVALID' }, 'bytes count once escaped')
  t.throws(() => typeToTokens('a.\ud800'), { code: 'EVENT_TYPE_INVALID' }, 'half a character')
  t.throws(() => typeToTokens(''), { code: 'EVENT_TYPE_INVALID', field: 'type' })
})

t.test('refuses event subjects that nobody of ours publishes', async (t) => {
  for (const subject of ['', 'evt', 'evt.high', 'evt.high.demo', 'evt.low.demo.a', 'job.high.demo.a']) {
    t.throws(() => parseEventSubject(subject), { code: 'SUBJECT_INVALID', field: 'subject' }, subject)
  }
  t.throws(() => parseEventSubject('evt.high.Demo.a'), { code: 'TOKEN_INVALID', field: 'tenant' })
  t.throws(() => parseEventSubject('evt.high..a'), { code: 'TOKEN_INVALID' })
  t.throws(() => parseEventSubject('evt.high.demo.%ZZ'), { code: 'SUBJECT_INVALID' })
  t.throws(
    () => parseEventSubject('evt.high.demo.%FF'),
    { code: 'SUBJECT_INVALID' },
    'escaped bytes are UTF-8',
  )
})

t.test('a job subject comes back as it was built, and others are refused', async (t) => {
  for (const channel of DELIVERY_CHANNELS) {
    for (const lane of LANES) {
      t.same(parseJobSubject(jobSubject(channel, lane, 'demo')), { channel, lane, tenant: 'demo' })
    }
  }
  for (const subject of [
    'job.push.high',
    'job.push.high.demo.more',
    'job.inbox.high.demo',
    'job.push.low.demo',
    'evt.push.high.demo',
  ]) {
    t.throws(() => parseJobSubject(subject), { code: 'SUBJECT_INVALID', field: 'subject' }, subject)
  }
  t.throws(() => parseJobSubject('job.push.high.*'), { code: 'TOKEN_INVALID' })
})

t.test('the other subjects read as they are documented', async (t) => {
  t.equal(frameSubject('demo', 'user', 'u-1'), 'rt.demo.user.u-1')
  t.equal(liveSubject('demo', 'room', 'r-1'), 'live.demo.room.r-1')
  t.equal(receiptSubject('email', 'bounced', 'demo'), 'rcp.email.bounced.demo')
  t.equal(auditSubject('workflow', 'published', 'demo'), 'aud.workflow.published.demo')
  t.equal(deadLetterSubject('EVENTS', 'dispatcher-high', 'demo'), 'dlq.EVENTS.dispatcher-high.demo')
  t.equal(jobStream('webhook'), 'JOBS_WEBHOOK')
  t.equal(dispatcherDurable('bulk'), 'dispatcher-bulk')
  t.equal(deliveryDurable('push', 'high'), 'push-high')
})

t.test('knows its own words and no others', async (t) => {
  t.ok(isLane('bulk') && isChannel('inbox') && isDeliveryChannel('sms'))
  for (const other of ['', 'HIGH', 'constructor', 1, null, undefined, ['high']]) {
    t.notOk(
      isLane(other) || isChannel(other) || isDeliveryChannel(other),
      JSON.stringify(other) ?? 'undefined',
    )
  }
  t.notOk(isDeliveryChannel('inbox'), 'nothing is delivered to an inbox by a provider')
})
