import { CloudEvent, HTTP } from 'cloudevents'
import fc from 'fast-check'
import t from 'tap'
import { ContractError } from './errors.js'
import {
  decodeEventMessage,
  type EventMessage,
  MAX_EVENT_BYTES,
  MAX_EVENT_DEPTH,
  parseStructured,
} from './events.js'

const SUBJECT = 'evt.high.demo.rides.ride.accepted.v1'

/** A message as it arrives; header names are found in whatever case they were sent. */
function message(
  headers: Record<string, string>,
  body: string | Uint8Array,
  subject: string = SUBJECT,
): EventMessage {
  const known = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  return {
    subject,
    body: typeof body === 'string' ? new TextEncoder().encode(body) : body,
    header: (name) => known.get(name.toLowerCase()),
    stream: 'EVENTS',
    sequence: 42,
    timestampMs: 1_790_000_000_000,
  }
}

const BINARY = {
  'ce-specversion': '1.0',
  'ce-id': 'r-1',
  'ce-source': '/rides',
  'ce-type': 'rides.ride.accepted.v1',
  'content-type': 'application/json',
}
const STRUCTURED = { specversion: '1.0', id: 'r-1', source: '/rides', type: 'rides.ride.accepted.v1' }
const structured = (event: object) =>
  message({ 'content-type': 'application/cloudevents+json' }, JSON.stringify(event))

const attribute = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  .filter((text) => text.trim() === text)
const official = fc.record({
  id: attribute,
  source: fc.constantFrom('/rides', 'urn:rides', 'https://rides.example/x?y=z'),
  type: fc.constantFrom('rides.ride.accepted.v1', 'com.example.Größe', 'a b'),
  subject: fc.option(attribute, { nil: undefined }),
  time: fc
    .date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true })
    .map((date) => date.toISOString()),
  data: fc.dictionary(fc.string({ maxLength: 5 }), fc.jsonValue(), { maxKeys: 4 }),
})

/** What the library sends: absent attributes are absent. */
function toOfficial({ subject, ...rest }: { subject: string | undefined } & object): CloudEvent<unknown> {
  return new CloudEvent(
    { ...rest, ...(subject === undefined ? {} : { subject }), datacontenttype: 'application/json' } as never,
    false,
  )
}

t.test('reads what the official library sends in structured mode', async (t) => {
  fc.assert(
    fc.property(official, (event) => {
      const sent = HTTP.structured(toOfficial(event))
      const got = decodeEventMessage(message(sent.headers as Record<string, string>, sent.body as string))
      same(got, event)
    }),
    { numRuns: 500 },
  )
  t.comment('500 cases')
})

t.test('reads what the official library sends in binary mode', async (t) => {
  fc.assert(
    fc.property(official, (event) => {
      // the library puts attributes in headers as they are: a percent sign would be read as an escape
      fc.pre(![event.id, event.type, event.subject].some((text) => text?.includes('%')))
      const sent = HTTP.binary(toOfficial(event))
      const got = decodeEventMessage(message(sent.headers as Record<string, string>, sent.body as string))
      same(got, event)
    }),
    { numRuns: 500 },
  )
  t.comment('500 cases')
})

function same(
  got: ReturnType<typeof decodeEventMessage>,
  event: typeof official extends fc.Arbitrary<infer E> ? E : never,
) {
  const wanted = { ...event, lane: 'high', tenant: 'demo', data: JSON.stringify(event.data) }
  for (const [name, value] of Object.entries(wanted)) {
    const found = name === 'data' ? JSON.stringify(got.data) : got[name as keyof typeof got]
    if (found !== value) throw new Error(`${name} is ${JSON.stringify(found)}, not ${JSON.stringify(value)}`)
  }
  if (JSON.stringify(JSON.parse(got.dataJson)) !== wanted.data)
    throw new Error('dataJson says something else')
}

t.test('header names count in any case, for both bindings', async (t) => {
  const shouted = Object.fromEntries(
    Object.entries(BINARY).map(([name, value]) => [name.toUpperCase(), value]),
  )
  t.equal(decodeEventMessage(message(shouted, '{}')).id, 'r-1')
  const event = message(
    { 'Content-Type': 'Application/CloudEvents+JSON; charset=utf-8' },
    JSON.stringify(STRUCTURED),
  )
  t.equal(decodeEventMessage(event).id, 'r-1')
})

t.test('percent-escapes in binary attributes are undone', async (t) => {
  const event = decodeEventMessage(
    message({ ...BINARY, 'ce-id': 'Gr%C3%B6%C3%9Fe%20%25', 'ce-subject': '%22a%22' }, '{}'),
  )
  t.equal(event.id, 'Größe %')
  t.equal(event.subject, '"a"')
  t.throws(() => decodeEventMessage(message({ ...BINARY, 'ce-id': '%ZZ' }, '{}')), {
    code: 'EVENT_INVALID',
    field: 'id',
  })
  t.throws(
    () => decodeEventMessage(message({ ...BINARY, 'ce-id': 'a%0Ab' }, '{}')),
    { code: 'EVENT_INVALID', field: 'id' },
    'a control character stays one when it is escaped',
  )
})

t.test('a bare publish becomes an event of the subject, with an id of its own', async (t) => {
  t.same(decodeEventMessage(message({}, '{"a":1}')), {
    tenant: 'demo',
    lane: 'high',
    id: 'EVENTS-42-1790000000000',
    source: 'nats:EVENTS',
    type: 'rides.ride.accepted.v1',
    time: undefined,
    subject: undefined,
    data: { a: 1 },
    dataJson: '{"a":1}',
    traceparent: undefined,
  })
  t.equal(decodeEventMessage(message({}, '')).data, null, 'nothing is null')
  t.equal(decodeEventMessage(message({}, '7', 'evt.bulk.acme.a%20b')).type, 'a b')
})

t.test('the trace comes from the message before it comes from the event', async (t) => {
  t.equal(decodeEventMessage(message({ ...BINARY, Traceparent: 'outer' }, '{}')).traceparent, 'outer')
  const inside = JSON.stringify({ ...STRUCTURED, traceparent: 'inner' })
  const type = { 'content-type': 'application/cloudevents+json' }
  t.equal(decodeEventMessage(message(type, inside)).traceparent, 'inner')
  t.equal(decodeEventMessage(message({ ...type, traceparent: 'outer' }, inside)).traceparent, 'outer')
})

t.test('data that does not say JSON is kept as text', async (t) => {
  const read = (contentType: string, body: string) =>
    decodeEventMessage(message({ ...BINARY, 'content-type': contentType }, body)).data
  t.equal(read('text/plain', '{"a"'), '{"a"')
  t.same(read('application/vnd.rides+json; charset=utf-8', '{"a":1}'), { a: 1 })
  t.same(read('', '[1]'), [1])
  t.same(
    decodeEventMessage(structured({ ...STRUCTURED, data_base64: 'AAE=' })).data,
    { base64: 'AAE=' },
    'bytes stay as they were sent',
  )
  t.equal(decodeEventMessage(structured(STRUCTURED)).dataJson, 'null')
})

const LONG = 'x'.repeat(513)
const REFUSED: [why: string, event: EventMessage, code: string, field: string | undefined][] = [
  ['a wrong version', message({ ...BINARY, 'ce-specversion': '0.3' }, '{}'), 'EVENT_INVALID', 'specversion'],
  ['no version', structured({ ...STRUCTURED, specversion: undefined }), 'EVENT_INVALID', 'specversion'],
  ['no id', structured({ ...STRUCTURED, id: undefined }), 'EVENT_INVALID', 'id'],
  ['an empty id', message({ ...BINARY, 'ce-id': '' }, '{}'), 'EVENT_INVALID', 'id'],
  ['an id that is no text', structured({ ...STRUCTURED, id: 7 }), 'EVENT_INVALID', 'id'],
  ['an id of 513 characters', structured({ ...STRUCTURED, id: LONG }), 'EVENT_INVALID', 'id'],
  ['an id with NUL', structured({ ...STRUCTURED, id: 'a\u0000' }), 'EVENT_INVALID', 'id'],
  ['an id with half a character', structured({ ...STRUCTURED, id: 'a\ud800' }), 'EVENT_INVALID', 'id'],
  ['no source', structured({ ...STRUCTURED, source: null }), 'EVENT_INVALID', 'source'],
  ['a source with a newline', structured({ ...STRUCTURED, source: 'a\nb' }), 'EVENT_INVALID', 'source'],
  ['no type', structured({ ...STRUCTURED, type: '' }), 'EVENT_INVALID', 'type'],
  ['a time that is none', structured({ ...STRUCTURED, time: 'soon' }), 'EVENT_INVALID', 'time'],
  ['a subject that is no text', structured({ ...STRUCTURED, subject: {} }), 'EVENT_INVALID', 'subject'],
  ['data twice', structured({ ...STRUCTURED, data: 1, data_base64: 'AA==' }), 'EVENT_INVALID', 'data'],
  ['a list', message({ 'content-type': 'application/cloudevents+json' }, '[]'), 'EVENT_INVALID', undefined],
  [
    'half an object',
    message({ 'content-type': 'application/cloudevents+json' }, '{'),
    'EVENT_INVALID',
    'data',
  ],
  ['data that is not JSON', message(BINARY, '{'), 'EVENT_INVALID', 'data'],
  ['bytes that are not UTF-8', message({}, new Uint8Array([0x22, 0xff, 0x22])), 'EVENT_INVALID', 'data'],
  ['a byte too many', message({}, new Uint8Array(MAX_EVENT_BYTES + 1)), 'EVENT_TOO_LARGE', 'data'],
  ['a foreign subject', message({}, '{}', 'job.push.high.demo'), 'SUBJECT_INVALID', 'subject'],
  ['a lane that is none', message({}, '{}', 'evt.low.demo.a'), 'SUBJECT_INVALID', 'subject'],
]

t.test('every refusal names the attribute that is wrong', async (t) => {
  for (const [why, event, code, field] of REFUSED) {
    try {
      decodeEventMessage(event)
      t.fail(`${why} was taken`)
    } catch (error) {
      t.ok(error instanceof ContractError, `${why}: a ContractError`)
      t.match(error, { code, field }, why)
    }
  }
})

t.test('takes data of exactly the limit', async (t) => {
  const body = JSON.stringify('x'.repeat(MAX_EVENT_BYTES - 2))
  t.equal(decodeEventMessage(message({}, body)).dataJson.length, MAX_EVENT_BYTES)
})

t.test(
  'data that nests without end is refused in every binding, before anything recurses into it',
  async (t) => {
    const nested = (levels: number) => `${'{"a":['.repeat(levels / 2)}${']}'.repeat(levels / 2)}`
    const deep = nested(40_000)
    for (const body of [nested(MAX_EVENT_DEPTH + 2), deep]) {
      for (const sent of [
        message({}, body),
        message(BINARY, body),
        message(
          { 'content-type': 'application/cloudevents+json' },
          `${JSON.stringify(STRUCTURED).slice(0, -1)},"data":${body}}`,
        ),
      ])
        t.throws(() => decodeEventMessage(sent), { code: 'EVENT_INVALID', field: 'data' })
    }
    t.doesNotThrow(() => decodeEventMessage(message({}, nested(MAX_EVENT_DEPTH))))
  },
)

t.test('whatever arrives is decoded or refused, never anything else', async (t) => {
  let refused = 0
  const value = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 12 }),
    fc.constantFrom('1.0', 'application/json', '%', 'text/plain'),
  )
  const name = fc.constantFrom(
    ...Object.keys(BINARY),
    'ce-time',
    'ce-subject',
    'ce-datacontenttype',
    'traceparent',
  )
  fc.assert(
    fc.property(
      fc.dictionary(name, value),
      fc.oneof(
        fc.json().map((json) => new TextEncoder().encode(json)),
        fc.uint8Array({ maxLength: 40 }),
      ),
      (headers, body) => {
        try {
          const event = decodeEventMessage(message({ ...BINARY, ...headers }, body))
          return typeof event.id === 'string' && event.id !== '' && JSON.parse(event.dataJson) !== undefined
        } catch (error) {
          refused++
          return error instanceof ContractError
        }
      },
    ),
    { numRuns: 3_000 },
  )
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      try {
        return parseStructured(value).id !== ''
      } catch (error) {
        return error instanceof ContractError && error.code === 'EVENT_INVALID'
      }
    }),
    { numRuns: 1_000 },
  )
  t.comment(`4000 cases, ${refused} of the first 3000 refused`)
})

t.test('names of Object.prototype are no attributes', async (t) => {
  const event = Object.assign(Object.create({ id: 'inherited' }) as object, { ...STRUCTURED, id: undefined })
  t.throws(() => parseStructured(JSON.parse(JSON.stringify(event))), { code: 'EVENT_INVALID', field: 'id' })
  const hostile = JSON.parse(
    `{"__proto__":{"id":"x"},"specversion":"1.0","source":"s","type":"t"}`,
  ) as unknown
  t.throws(() => parseStructured(hostile), { code: 'EVENT_INVALID', field: 'id' })
  t.equal(({} as { id?: unknown }).id, undefined)
})
