import { randomUUID } from 'node:crypto'
import { askSubject, frameSubject, latestSubject } from '@carillon/contracts'
import { ask, type CoreMessage, subscribeCore } from '@carillon/jetstream'
import { eventually } from '@carillon/testkit'
import { decodeJwt } from 'jose'
import t from 'tap'
import { list, text, useEdge } from './support.js'

/** The gateway's clock, where it stands still. */
let stopped: number | undefined
const edge = await useEdge(t, { CARILLON_LIMIT_MESSAGES: '2500' }, () => stopped ?? Date.now())
const admin = await edge.key('acme', 'admin')
const writer = await edge.key('acme', 'channels:write')
const reader = await edge.key('acme', 'channels:read')
const stranger = await edge.key('globex', 'admin')
await edge.call(admin, 'PUT /v1/users/ada', { name: 'Ada' })

const room = (id: string, tenant = 'acme') => edge.stored('LIVE', frameSubject(tenant, 'room', id))
const publish = (channel: string, body: unknown, credential = writer) =>
  edge.call(credential, `POST /v1/channels/${channel}/publish`, body)

/** What is heard on core NATS under a subject. */
const listen = async (subject: string): Promise<CoreMessage[]> => {
  const heard: CoreMessage[] = []
  const subscription = subscribeCore(edge.connection, subject, (message) => heard.push(message))
  t.teardown(() => subscription.stop())
  await edge.connection.flush()
  return heard
}

t.test(
  'a rule is made, shown, told to who asks over NATS, replaced and taken away, and all is audited',
  async (t) => {
    const schema = { type: 'object', properties: { lat: { type: 'number', maximum: 90 } }, required: ['lat'] }
    t.match(await edge.call(admin, 'PUT /v1/channel-rules/ride', {}), {
      status: 201,
      body: {
        namespace: 'ride',
        authorise: false,
        allow: ['presence', 'history'],
        joins: true,
        schema: null,
      },
    })
    const rule = { namespace: 'ride', authorise: true, allow: ['publish'], joins: false, schema }
    const { namespace: _, ...body } = rule
    t.match(await edge.call(admin, 'PUT /v1/channel-rules/ride', body), { status: 200, body: rule })
    const shown = await edge.call(reader, 'GET /v1/channel-rules')
    t.match(list(shown.body.rules), [rule])
    const asked = (tenant: string) => ask(edge.connection, askSubject('channel-rules', tenant), {})
    t.same(await asked('acme'), { rules: [rule] })
    t.same(await asked('globex'), { rules: [] }, "another tenant's rules are its own")
    t.same((await edge.call(stranger, 'GET /v1/channel-rules')).body.rules, [])
    t.equal((await edge.call(stranger, 'DELETE /v1/channel-rules/ride')).status, 404)
    t.equal((await edge.call(admin, 'DELETE /v1/channel-rules/ride')).status, 204)
    t.same(await asked('acme'), { rules: [] })
    const facts = await edge.stored('AUDIT', 'aud.channels.rule-put.acme')
    t.equal(facts.length, 2)
    t.match(JSON.parse(facts[1]?.body ?? ''), {
      resource: 'channel-rule:ride',
      details: { authorise: true, joins: false, allow: 'publish', schema: true },
    })
    t.equal((await edge.stored('AUDIT', 'aud.channels.rule-deleted.acme')).length, 1)
  },
)

t.test(
  'only administrators change rules, and only keys with a scope for rooms publish and read',
  async (t) => {
    const { body } = await edge.call(admin, 'POST /v1/users/ada/token', {})
    const person = text(body.token)
    const calls: [string, string, unknown][] = [
      [writer, 'PUT /v1/channel-rules/x', {}],
      [writer, 'DELETE /v1/channel-rules/x', undefined],
      [person, 'GET /v1/channel-rules', undefined],
      [reader, 'POST /v1/channels/room:a/publish', { data: {} }],
      [reader, 'POST /v1/channels/publish', { publications: [{ channel: 'room:a', data: {} }] }],
      [person, 'POST /v1/channels/room:a/publish', { data: {} }],
      [person, 'GET /v1/channels/room:a/history', undefined],
      [await edge.key('acme', 'events:write', 'users:read'), 'GET /v1/channels/room:a/history', undefined],
      [await edge.key('acme', 'channels:write'), 'POST /v1/users/ada/channel-tokens', { channel: 'room:a' }],
    ]
    for (const [credential, line, sent] of calls)
      t.equal((await edge.call(credential, line, sent)).status, 403, line)
    t.same(await room('a'), [])
  },
)

t.test('a schema that can not be used is refused at its place, before anything is written', async (t) => {
  const put = (schema: unknown) => edge.call(admin, 'PUT /v1/channel-rules/bad', { schema })
  const refused: [unknown, string][] = [
    [{ type: 'objekt' }, '/schema/type'],
    [{ $ref: 'https://evil.example/x.json' }, '/schema/$ref'],
    [{ properties: { a: { pattern: '(?=a)' } } }, '/schema/properties/a/pattern'],
    [{ properties: { 'a/b': { formatt: 'x' } } }, '/schema/properties/a~1b/formatt'],
    [{ description: 'x'.repeat(65_536) }, '/schema'],
  ]
  for (const [schema, field] of refused) {
    t.match(await put(schema), { status: 400, body: { code: 'CHANNEL_SCHEMA_INVALID', field } })
  }
  t.match(await put('{}'), { status: 400, body: { code: 'VALIDATION' } })
  t.match(await edge.call(admin, 'PUT /v1/channel-rules/bad', '{"schema":{"__proto__":{"x":1}}}'), {
    status: 400,
  })
  const deep = `{"schema":${'{"not":'.repeat(40)}{}${'}'.repeat(40)}}`
  t.match(await edge.call(admin, 'PUT /v1/channel-rules/bad', deep), {
    status: 400,
    body: { code: 'JSON_TOO_DEEP' },
  })
  for (const namespace of ['a-b', 'A', 'a.b', '*', '%3E', 'x'.repeat(65)]) {
    t.equal((await edge.call(admin, `PUT /v1/channel-rules/${namespace}`, {})).status, 400, namespace)
  }
  t.same((await edge.call(reader, 'GET /v1/channel-rules')).body.rules, [])
})

t.test('what a server publishes into a room is stored as it is, with its place, and read back', async (t) => {
  const data = { text: 'Grüß dich 👋', nested: { list: [1, 2.5, null, true] } }
  const first = await publish('room:chat-1', { data })
  const second = await publish('room:chat-1', { data: { n: 2 }, from: 'ada' })
  t.match(first, { status: 200, body: { epoch: 'e1' } })
  t.equal(Number(second.body.offset) > Number(first.body.offset), true)
  const stored = await room('chat-1')
  t.same(
    stored.map(({ body }) => body),
    [JSON.stringify(data), '{"n":2}'],
  )
  t.equal(stored[0]?.headers.has('carillon-publisher'), false)
  t.same(JSON.parse(stored[1]?.headers.get('carillon-publisher') ?? ''), { user: 'ada', client: '' })

  const history = await edge.call(reader, 'GET /v1/channels/room:chat-1/history')
  t.match(history, {
    status: 200,
    body: {
      publications: [
        { offset: first.body.offset, data },
        { data: { n: 2 }, info: { user: 'ada', client: '' } },
      ],
    },
  })
  t.equal(history.body.epoch as unknown, 'e1')
  const later = await edge.call(
    reader,
    `GET /v1/channels/room:chat-1/history?since=${text(first.body.offset)}`,
  )
  t.match(list(later.body.publications), [{ offset: second.body.offset }])
  const last = await edge.call(reader, 'GET /v1/channels/room:chat-1/history?limit=1')
  t.match(list(last.body.publications), [{ offset: second.body.offset }])
  t.same((await edge.call(stranger, 'GET /v1/channels/room:chat-1/history')).body.publications, [])
  t.match(await edge.call(reader, 'GET /v1/channels/latest:chat-1/history'), {
    status: 400,
    body: { code: 'CHANNEL_WITHOUT_HISTORY' },
  })
})

t.test('a history of megabytes comes whole and in order', async (t) => {
  const data = { fill: 'x'.repeat(30_000) }
  const publications = Array.from({ length: 8 }, () => ({ channel: 'room:long-1', data }))
  for (let round = 0; round < 26; round++) {
    t.equal((await edge.call(writer, 'POST /v1/channels/publish', { publications })).status, 200)
  }
  const { body } = await edge.call(reader, 'GET /v1/channels/room:long-1/history?limit=200')
  t.equal(list(body.publications).length, 200, 'LIVE keeps so many of a room')
  const offsets = list(body.publications).map((entry) => Number(entry.offset))
  t.same(
    offsets,
    offsets.toSorted((a, b) => a - b),
  )
})

t.test(
  'one idempotency key stores one publication in a room, and each room and tenant has its own',
  async (t) => {
    const once = { data: { n: 1 }, idempotencyKey: 'k1' }
    const [first, again] = [await publish('room:once-1', once), await publish('room:once-1', once)]
    t.equal(again.body.offset, first.body.offset)
    const other = await publish('room:once-2', once)
    const theirs = await publish('room:once-1', once, stranger)
    t.notSame(other.body.offset, first.body.offset)
    t.notSame(theirs.body.offset, first.body.offset)
    t.equal((await room('once-1')).length, 1)
    t.equal((await room('once-1', 'globex')).length, 1)
    await Promise.all(Array.from({ length: 20 }, () => publish('room:once-3', once)))
    t.equal((await room('once-3')).length, 1, 'also when they meet')
  },
)

t.test(
  'what is published as latest is heard at once by who listens in this tenant, and kept by nobody',
  async (t) => {
    const heard = await listen(latestSubject('acme', 'ride-9'))
    const elsewhere = await listen('live.globex.>')
    const answer = await publish('latest:ride-9', { data: { lat: 48.2 }, key: 'driver-1', from: 'mira' })
    t.same(answer.body, {})
    t.equal(answer.status, 200)
    await eventually(() => heard.length === 1)
    t.equal(heard[0]?.text(), '{"lat":48.2}')
    t.equal(heard[0]?.header('carillon-key'), 'driver-1')
    t.same(JSON.parse(heard[0]?.header('carillon-publisher') ?? ''), { user: 'mira', client: '' })
    t.same(elsewhere, [])
    t.same(await edge.stored('LIVE', 'rt.acme.latest.ride-9'), [])
  },
)

t.test('data is held against the schema of its namespace, wherever it goes', async (t) => {
  const schema = {
    type: 'object',
    properties: { at: { type: 'object', properties: { 'l/at': { type: 'number' } }, required: ['l/at'] } },
    additionalProperties: false,
  }
  await edge.call(admin, 'PUT /v1/channel-rules/typed', { schema })
  const heard = await listen(latestSubject('acme', 'typed-1'))
  for (const kind of ['room', 'latest']) {
    t.equal(
      (await publish(`${kind}:typed-1`, { data: { at: { 'l/at': 1 } } })).status,
      200,
      'in force at once here',
    )
    t.match(await publish(`${kind}:typed-1`, { data: { at: { 'l/at': 'secret-1' } } }), {
      status: 422,
      body: {
        code: 'CHANNEL_DATA_INVALID',
        field: '/data/at/l~1at',
        detail: '/data/at/l~1at must be number.',
      },
    })
    t.match(await publish(`${kind}:typed-1`, { data: { extra: 1 } }), {
      status: 422,
      body: { field: '/data/extra' },
    })
  }
  t.equal((await room('typed-1')).length, 1)
  await eventually(() => heard.length === 1)
  t.equal(
    (await publish('room:typed-1', { data: { extra: 1 } }, stranger)).status,
    200,
    'the rule is of one tenant',
  )
})

t.test('many are published in one call, in order, and one that is not valid refuses all', async (t) => {
  const heard = await listen(latestSubject('acme', 'fleet-1'))
  const publications = [
    { channel: 'room:many-1', data: { n: 0 }, idempotencyKey: 'n0' },
    { channel: 'latest:fleet-1', data: { lat: 1 }, key: 'a' },
    { channel: 'room:many-1', data: { n: 1 } },
    { channel: 'room:many-2', data: { n: 2 }, from: 'ada' },
  ]
  const bad = [...publications, { channel: 'latest:typed-1', data: { extra: 1 } }]
  t.match(await edge.call(writer, 'POST /v1/channels/publish', { publications: bad }), {
    status: 422,
    body: { code: 'CHANNEL_DATA_INVALID', field: '/publications/4/data/extra' },
  })
  const keyed = [...publications, { channel: 'room:many-1', data: { n: 3 }, key: 'a' }]
  t.match(await edge.call(writer, 'POST /v1/channels/publish', { publications: keyed }), {
    status: 400,
    body: { code: 'VALIDATION', field: '/publications/4/key' },
  })
  t.match(await publish('room:many-1', { data: {}, key: 'a' }), { status: 400, body: { field: '/key' } })
  t.same(await room('many-1'), [])
  const answer = await edge.call(writer, 'POST /v1/channels/publish', { publications })
  t.equal(answer.status, 200)
  const offsets = list(answer.body.publications).map((entry) => entry.offset)
  t.equal(offsets[1], undefined)
  t.equal(new Set(offsets).size, 4)
  t.same(
    (await room('many-1')).map(({ body }) => body),
    ['{"n":0}', '{"n":1}'],
  )
  await eventually(() => heard.length === 1)
  const again = await edge.call(writer, 'POST /v1/channels/publish', {
    publications: publications.slice(0, 1),
  })
  t.same(list(again.body.publications)[0]?.offset, offsets[0])
  const tooMany = Array.from({ length: 101 }, () => ({ channel: 'room:many-1', data: {} }))
  t.equal((await edge.call(writer, 'POST /v1/channels/publish', { publications: tooMany })).status, 400)
  t.equal((await edge.call(writer, 'POST /v1/channels/publish', { publications: [] })).status, 400)
})

t.test('no name, user, key or data leads out of a room', async (t) => {
  const all = await listen('>')
  const before = all.length
  for (const name of [
    ...[
      'room:*',
      'room:%3E',
      'room:a.b',
      'room:a%20b',
      'room:',
      'user',
      'room:A',
      'room:-a',
      'latest:a.b.c',
      'x:a',
    ],
    ...[`room:${'a'.repeat(65)}`, 'room:a%0d%0aPUB', 'room:..%2f..%2fglobex', '%24JS.API.STREAM.DELETE.LIVE'],
  ]) {
    const status = (await publish(name, { data: {} })).status
    t.ok(status === 400 || status === 404, `${name}: ${status}`)
  }
  const channel = 'room:hurt-1'
  const bodies: unknown[] = [
    { data: [1] },
    { data: 'text' },
    { data: null },
    {},
    { data: {}, tenant: 'globex' },
    { data: {}, from: '' },
    { data: {}, from: 'x'.repeat(257) },
    { data: {}, key: 'a b' },
    { data: {}, key: 'a\r\nNats-Msg-Id: 1' },
    { data: {}, idempotencyKey: 'é' },
    { data: { fill: 'x'.repeat(32 * 1024) } },
    '{"data":{"__proto__":{"admin":true}}}',
    '{"data":{"a":{"constructor":{"prototype":{"admin":true}}}}}',
    `{"data":${'{"a":'.repeat(40)}{}${'}'.repeat(40)}}`,
    `{"data":{"a":[${'1,'.repeat(30_000)}1]}}`,
  ]
  for (const body of bodies) {
    const { status } = await publish(channel, body)
    t.ok(status === 400 || status === 422, `${status}: ${JSON.stringify(body).slice(0, 60)}`)
  }
  t.equal((await publish(channel, { data: { fill: 'x'.repeat(300_000) } })).status, 413)
  await edge.connection.flush()
  t.same(
    all.slice(before).filter(({ subject }) => /^(rt|live)\./.test(subject)),
    [],
    'nothing of it was published',
  )
  const from = 'ada\r\nNats-Msg-Id: forged\r\n\r\n\u0000Zoë'
  t.equal((await publish(channel, { data: { ok: true }, from })).status, 200)
  await eventually(() => all.some(({ subject }) => subject === frameSubject('acme', 'room', 'hurt-1')))
  const [stored] = await room('hurt-1')
  t.equal((JSON.parse(stored?.headers.get('carillon-publisher') ?? '') as { user: string }).user, from)
  t.not(stored?.headers.get('nats-msg-id'), 'forged')
  t.equal(stored?.body, '{"ok":true}')
  t.equal(({} as { admin?: boolean }).admin, undefined)
})

t.test(
  'a token of a user says what it allows in rooms, and never grows longer than it is read',
  async (t) => {
    const channels = {
      'room:ride-9': ['subscribe', 'publish'],
      'latest:ride-*': ['subscribe'],
      'room:*': ['history'],
    }
    const issued = await edge.call(admin, 'POST /v1/users/ada/token', { channels })
    t.match(decodeJwt(text(issued.body.token)), { sub: 'ada', tid: 'acme', channels })
    t.equal((await edge.call(text(issued.body.token), 'GET /v1/me')).status, 200)
    t.equal(
      decodeJwt(text((await edge.call(admin, 'POST /v1/users/ada/token', {})).body.token)).channels,
      undefined,
    )
    for (const bad of [
      { '*': ['subscribe'] },
      { user: ['publish'] },
      { 'room:a.b': ['subscribe'] },
      { 'room:a*b': ['subscribe'] },
      { 'room:a': ['fly'] },
      { 'room:a': 'subscribe' },
      { 'room:a': ['subscribe', 'subscribe'] },
      ['room:a'],
      Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`room:${n}`, ['subscribe']])),
    ]) {
      const answer = await edge.call(admin, 'POST /v1/users/ada/token', { channels: bad })
      t.match(answer, { status: 400, body: { code: 'VALIDATION' } }, JSON.stringify(bad).slice(0, 60))
    }
    const many = Object.fromEntries(
      Array.from({ length: 100 }, (_, n) => [
        `room:conversation-number-${n}`,
        ['subscribe', 'publish', 'presence'],
      ]),
    )
    t.match(await edge.call(admin, 'POST /v1/users/ada/token', { channels: many }), {
      status: 400,
      body: { code: 'TOKEN_TOO_LONG', field: 'channels' },
    })
  },
)

t.test('a token for one channel is good for that channel and lets nobody sign in', async (t) => {
  const ask = (body: unknown, user = 'ada', credential = admin) =>
    edge.call(credential, `POST /v1/users/${user}/channel-tokens`, body)
  const info = { name: 'Ada 👋' }
  const issued = await ask({
    channel: 'room:ride-9',
    permissions: ['publish', 'subscribe'],
    ttlSeconds: 60,
    info,
  })
  t.equal(issued.status, 200)
  const token = text(issued.body.token)
  const claims = decodeJwt(token)
  t.match(claims, { sub: 'ada', tid: 'acme', iss: 'carillon', aud: 'carillon', channel: 'room:ride-9', info })
  t.same((claims.permissions as string[]).toSorted(), ['publish', 'subscribe'])
  t.equal((claims.exp ?? 0) - (claims.iat ?? 0), 60)
  t.equal(claims.roles, undefined)
  t.equal(new Date(text(issued.body.expiresAt)).getTime(), (claims.exp ?? 0) * 1_000)
  t.match(await edge.call(token, 'GET /v1/me'), { status: 401, body: { code: 'UNAUTHENTICATED' } })
  t.equal((await edge.call(token, 'GET /v1/inbox')).status, 401)
  t.same(decodeJwt(text((await ask({ channel: 'latest:x' })).body.token)).permissions, ['subscribe'])
  for (const bad of [
    {},
    { channel: 'room:*' },
    { channel: 'user' },
    { channel: 'room:a', permissions: ['all'] },
    { channel: 'room:a', ttlSeconds: 90_000 },
    { channel: 'room:a', info: 'x'.repeat(1_100) },
    { channel: 'room:a', sub: 'mira' },
  ]) {
    t.equal((await ask(bad)).status, 400, JSON.stringify(bad).slice(0, 60))
  }
  t.equal((await ask({ channel: 'room:a' }, 'nobody')).status, 404)
  t.equal((await ask({ channel: 'room:a' }, 'ada', stranger)).status, 404)
  await edge.call(admin, 'PUT /v1/users/sus', { status: 'suspended' })
  t.match(await ask({ channel: 'room:a' }, 'sus'), { status: 403, body: { code: 'SUSPENDED' } })
  const facts = await edge.stored('AUDIT', 'aud.users.channel-token-issued.acme')
  t.match(JSON.parse(facts[0]?.body ?? ''), {
    details: { channel: 'room:ride-9', permissions: 'publish subscribe' },
  })
  t.notMatch(JSON.stringify(facts), new RegExp(token.slice(-20)), 'the trail holds no token')
})

t.test(
  'while the mesh is away nothing is taken that would come late, and it works again after',
  async (t) => {
    await edge.nats.kill()
    await eventually(() => !edge.connection.connected)
    for (const channel of ['latest:ride-9', 'room:late-1']) {
      t.match(await publish(channel, { data: {} }), { status: 503, body: { code: 'MESH_UNAVAILABLE' } })
    }
    await edge.nats.restart()
    await eventually(() => edge.connection.connected)
    await eventually(async () => (await publish('room:late-1', { data: { n: 1 } })).status === 200)
  },
)

t.test('a batch counts as so many messages as it has, and is taken whole or not at all', async (t) => {
  // a minute of which nothing is used yet, and which does not end
  stopped = Date.now() + 600_000
  const events = (type: string) =>
    edge.call(
      stranger,
      'POST /v1/events',
      Array.from({ length: 1_000 }, (_, n) => ({
        specversion: '1.0',
        id: randomUUID(),
        source: '/test',
        type,
        data: { n },
      })),
      { 'content-type': 'application/cloudevents-batch+json' },
    )
  const say = () =>
    edge.call(stranger, 'POST /v1/channels/publish', {
      publications: Array.from({ length: 100 }, () => ({ channel: 'room:counted-1', data: {} })),
    })
  const refused = { status: 429, body: { code: 'RATE_LIMITED' }, headers: { 'retry-after': /^\d+$/ } }
  for (const type of ['first', 'second']) t.equal((await events(type)).status, 202)
  t.match(await events('third'), refused)
  for (let n = 0; n < 5; n++) t.equal((await say()).status, 200, 'what fits goes on')
  t.match(await events('third'), refused)
  t.same(await edge.stored('EVENTS', 'evt.normal.globex.third'), [], 'nothing of what was refused')
  t.equal((await publish('room:counted-1', { data: {} })).status, 200, 'another tenant is not affected')
  t.match(await say(), refused)
  t.match(await publish('room:counted-1', { data: {} }, stranger), refused)
  t.match(await edge.call(stranger, 'POST /v1/notifications', { to: ['ada'], title: 'Hello' }), refused)
})
