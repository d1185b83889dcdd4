import { decodeEventMessage } from '@carillon/contracts'
import { eventually } from '@carillon/testkit'
import { CloudEvent, HTTP } from 'cloudevents'
import t from 'tap'
import { text, useEdge } from './support.js'

const edge = await useEdge(t)
const key = await edge.key('acme', 'events:write')
const EVENT = 'application/cloudevents+json'
const BATCH = 'application/cloudevents-batch+json'
const event = (id: string, more: Record<string, unknown> = {}) => ({
  specversion: '1.0',
  id,
  source: '/test',
  type: 'rides.ride.accepted.v1',
  data: { name: 'Zoë' },
  ...more,
})

/** What the dispatcher would read, by CloudEvents id. */
const decoded = async (id: string, lane = 'normal', type = 'rides.ride.accepted.v1') => {
  const subject = `evt.${lane}.acme.${type}`
  const messages = await edge.stored('EVENTS', subject)
  const events = messages.map((message, index) => ({
    headers: message.headers,
    event: decodeEventMessage({
      subject,
      body: Buffer.from(message.body),
      header: (name) => message.headers.get(name.toLowerCase()),
      stream: 'EVENTS',
      sequence: index + 1,
      timestampMs: 1_790_000_000_000,
    }),
  }))
  return events.find((one) => one.event.id === id)
}

t.test('every content type becomes the same event in the stream', async (t) => {
  const structured = await edge.call(key, 'POST /v1/events', event('s1', { team: 'rides', lane: 'high' }), {
    'content-type': EVENT,
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    'x-correlation-id': 'corr-1',
  })
  t.match(structured, { status: 202, body: { id: 's1', source: '/test', type: 'rides.ride.accepted.v1' } })
  const one = await decoded('s1', 'high')
  t.match(one?.event, { lane: 'high', data: { name: 'Zoë' }, traceparent: /^00-0af7651916/ })
  t.equal(one?.headers.get('ce-team'), 'rides')
  t.equal(one?.headers.get('carillon-correlation'), 'corr-1')

  const binary = await edge.call(key, 'POST /v1/events', '{"name":"Zoë"}', {
    'ce-specversion': '1.0',
    'ce-id': 'b%C3%A4%201',
    'ce-source': '/test',
    'ce-type': 'rides.ride.accepted.v1',
  })
  t.match(binary, { status: 202, body: { id: 'bä 1' } })
  const two = await decoded('bä 1')
  t.same(two?.event.data, { name: 'Zoë' })
  t.equal(two?.headers.get('ce-id'), 'b%C3%A4%201')

  const words = await edge.call(key, 'POST /v1/events', 'just words', {
    'content-type': 'text/plain',
    'ce-specversion': '1.0',
    'ce-id': 'x1',
    'ce-source': '/test',
    'ce-type': 'rides.ride.accepted.v1',
  })
  t.equal(words.status, 202)
  t.equal((await decoded('x1'))?.event.data, 'just words')

  const plain = await edge.call(
    key,
    'POST /v1/events',
    { type: 'hello', data: { a: 1 } },
    { 'carillon-lane': 'bulk' },
  )
  t.match(plain, { status: 202, body: { source: 'carillon:gateway', type: 'hello' } })
  const three = await decoded(text(plain.body.id), 'bulk', 'hello')
  t.match(three?.event, { data: { a: 1 }, time: /^20/ })

  const batch = await edge.call(key, 'POST /v1/events', [event('c1'), event('c2')], { 'content-type': BATCH })
  t.match(batch, { status: 202, body: { events: [{ id: 'c1' }, { id: 'c2' }] } })
  t.ok(await decoded('c2'))
})

t.test('what the official library sends is understood', async (t) => {
  const made = new CloudEvent({
    id: 'official "1" ü',
    source: '/test',
    type: 'rides.ride.accepted.v1',
    data: { a: 'ü' },
  })
  for (const { headers, body } of [HTTP.binary(made), HTTP.structured(made)]) {
    const plain = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))
    t.match(await edge.call(key, 'POST /v1/events', String(body), plain), { status: 202 })
  }
  t.same((await decoded('official "1" ü'))?.event.data, { a: 'ü' })
})

t.test('bad input is refused with the field that is wrong, and nothing is stored', async (t) => {
  const before = (await edge.stored('EVENTS', 'evt.>')).length
  const cases: [string, unknown, Record<string, string>, number, object][] = [
    [
      'a batch with one bad event',
      [event('ok'), event('bad', { source: '' })],
      { 'content-type': BATCH },
      400,
      { field: '[1].source' },
    ],
    ['a batch that is none', event('x'), { 'content-type': BATCH }, 400, { code: 'EVENT_INVALID' }],
    [
      'another specversion',
      event('x', { specversion: '0.3' }),
      { 'content-type': EVENT },
      400,
      { field: 'specversion' },
    ],
    ['an id that is a number', event('x', { id: 7 }), { 'content-type': EVENT }, 400, { field: 'id' }],
    ['a wrong time', event('x', { time: 'yesterday' }), { 'content-type': EVENT }, 400, { field: 'time' }],
    ['a lane nobody knows', event('x', { lane: 'fast' }), { 'content-type': EVENT }, 400, { field: 'lane' }],
    [
      'an extension with capitals',
      event('x', { myTeam: 'a' }),
      { 'content-type': EVENT },
      400,
      { field: 'myTeam' },
    ],
    [
      'a type with too many parts',
      event('x', { type: 'a.'.repeat(20) }),
      { 'content-type': EVENT },
      400,
      { code: 'EVENT_TYPE_INVALID' },
    ],
    [
      "a type of Carillon's own",
      event('x', { type: 'carillon.trigger.v1' }),
      { 'content-type': EVENT },
      400,
      { field: 'type' },
    ],
    ['plain JSON with a field too many', { type: 'a', payload: 1 }, {}, 400, { field: 'payload' }],
    ['plain JSON without a type', { data: 1 }, {}, 400, { field: 'type' }],
    ['broken JSON', '{broken', {}, 400, {}],
    ['a prototype', '{"type":"a","data":{"__proto__":{"x":1}}}', {}, 400, {}],
    [
      'deep nesting',
      `{"type":"a","data":${'['.repeat(40)}${']'.repeat(40)}}`,
      {},
      400,
      { code: 'JSON_TOO_DEEP' },
    ],
    [
      'too many members',
      `{"type":"a","data":[${'1,'.repeat(20_001)}1]}`,
      {},
      400,
      { code: 'JSON_TOO_LARGE' },
    ],
    ['300 KiB', { type: 'a', data: 'x'.repeat(300 * 1024) }, {}, 413, {}],
    ['text without ce headers', 'hello', { 'content-type': 'text/plain' }, 415, {}],
    [
      'a media type nobody reads',
      '<a/>',
      { 'content-type': 'application/xml' },
      415,
      { code: 'UNSUPPORTED_MEDIA_TYPE' },
    ],
    [
      'a control character in a header',
      'x',
      {
        'content-type': 'text/plain',
        'ce-specversion': '1.0',
        'ce-id': 'a%0Ab',
        'ce-source': '/a',
        'ce-type': 'a',
      },
      400,
      { field: 'id' },
    ],
  ]
  for (const [name, body, headers, status, problem] of cases) {
    const answer = await edge.call(key, 'POST /v1/events', body, headers)
    t.equal(answer.status, status, `${name}: ${JSON.stringify(answer.body)}`)
    t.match(answer.body, problem, name)
    t.match(answer.headers['content-type'], /problem\+json/, name)
    t.equal(answer.body.correlationId, answer.headers['x-correlation-id'], name)
  }
  t.equal((await edge.stored('EVENTS', 'evt.>')).length, before)
})

t.test('an Idempotency-Key gives the same answer, refuses another body, and stores once', async (t) => {
  const headers = { 'idempotency-key': 'k1' }
  const first = await edge.call(key, 'POST /v1/events', { type: 'once', data: 1 }, headers)
  const again = await edge.call(key, 'POST /v1/events', { type: 'once', data: 1 }, headers)
  t.equal(first.status, 202)
  t.same(again.body, first.body)
  t.equal(again.headers['idempotent-replayed'], 'true')
  t.match(await edge.call(key, 'POST /v1/events', { type: 'once', data: 2 }, headers), {
    status: 422,
    body: { code: 'IDEMPOTENCY_KEY_REUSED' },
  })
  t.equal((await edge.stored('EVENTS', 'evt.normal.acme.once')).length, 1)
  const other = await edge.key('globex', 'events:write')
  t.equal((await edge.call(other, 'POST /v1/events', { type: 'once', data: 2 }, headers)).status, 202)
  t.equal((await edge.call(key, 'POST /v1/events', { type: 'x' }, { 'idempotency-key': 'a b' })).status, 400)
  // a request that runs: its lease is alive and it has no answer yet
  await edge.owner.query({
    text: `UPDATE idempotency_keys SET state = 'running', status = NULL, body = NULL WHERE key = 'k1' AND tenant_id = 'acme'`,
  })
  t.match(await edge.call(key, 'POST /v1/events', { type: 'once', data: 1 }, headers), { status: 409 })
  // its holder died: the repetition makes the same event
  await edge.owner.query({ text: `UPDATE idempotency_keys SET locked_until = now() - interval '1 second'` })
  t.same((await edge.call(key, 'POST /v1/events', { type: 'once', data: 1 }, headers)).body, first.body)
  // a failed request keeps nothing
  const bad = { 'idempotency-key': 'k2' }
  t.equal((await edge.call(key, 'POST /v1/events', { type: '' }, bad)).status, 400)
  t.equal((await edge.call(key, 'POST /v1/events', { type: 'mended' }, bad)).status, 202)
})

t.test('a thousand requests at once cost little and are all stored', async (t) => {
  const started = process.cpuUsage()
  const answers = await Promise.all(
    Array.from({ length: 1_000 }, (_, n) =>
      edge.call(key, 'POST /v1/events', event(`m${n}`), { 'content-type': EVENT }),
    ),
  )
  const { user, system } = process.cpuUsage(started)
  t.ok(answers.every((answer) => answer.status === 202))
  t.comment(`${Math.round((user + system) / 1_000)} µs of CPU per request, injection included`)
  const ids = new Set(
    (await edge.stored('EVENTS', 'evt.normal.acme.rides.ride.accepted.v1')).map((m) =>
      m.headers.get('ce-id'),
    ),
  )
  t.ok(ids.size >= 990)
})

t.test('without the broker the answer is 503 with Retry-After, and afterwards it works again', async (t) => {
  await edge.nats.stop()
  const answer = await edge.call(key, 'POST /v1/events', event('lost'), { 'content-type': EVENT })
  t.match(answer, { status: 503, body: { code: 'MESH_UNAVAILABLE' }, headers: { 'retry-after': '2' } })
  t.equal((await edge.call(undefined, 'GET /health/ready')).status, 503)
  await edge.nats.restart()
  await eventually(
    async () => {
      const again = await edge.call(key, 'POST /v1/events', event('back'), { 'content-type': EVENT })
      return again.status === 202
    },
    { everyMs: 200 },
  )
})
