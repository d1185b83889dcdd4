import { randomUUID } from 'node:crypto'
import { signReceiptToken } from '@carillon/channels'
import { eventHash, eventRowId, userId } from '@carillon/contracts'
import { claimEventKeys } from '@carillon/postgres'
import { sha256 } from '@carillon/service'
import t from 'tap'
import { ACCESS } from '../src/access.js'
import { list, text, useEdge } from './support.js'

const edge = await useEdge(t, { CARILLON_LIMIT_USER: '60' })
const admin = await edge.key('acme', 'admin')
const stranger = await edge.key('globex', 'admin')

t.test('nothing is open, and a credential may do what it may and no more', async (t) => {
  const weak = await edge.key('acme', 'users:read')
  for (const credential of [
    undefined,
    'nonsense',
    `${admin}x`,
    `ck_live_${'a'.repeat(16)}_${'b'.repeat(43)}`,
    'a.b.c',
  ]) {
    t.match(await edge.call(credential, 'POST /v1/events', { type: 'a' }), {
      status: 401,
      body: { code: 'UNAUTHENTICATED' },
      headers: { 'www-authenticate': /Bearer/ },
    })
  }
  t.match(await edge.call(weak, 'POST /v1/events', { type: 'a' }), {
    status: 403,
    body: { code: 'SCOPE_MISSING' },
  })
  t.match(await edge.call(admin, 'GET /v1/inbox'), { status: 403, body: { code: 'USER_TOKEN_NEEDED' } })
  const made = await edge.call(admin, 'POST /v1/keys', { name: 'old', scopes: ['users:read'] })
  t.equal(made.status, 201)
  t.equal((await edge.call(admin, `DELETE /v1/keys/${made.body.id}`)).status, 204)
  t.equal((await edge.call(text(made.body.key), 'GET /v1/users')).status, 401)
  t.notMatch(JSON.stringify((await edge.call(admin, 'GET /v1/keys')).body), /hash|secret/)
  await edge.call(weak, 'POST /v1/events', { type: 'a' })
  const refused = await edge.stored('AUDIT', 'aud.access.refused.acme')
  t.equal(refused.filter((fact) => fact.body.includes('"scope"')).length, 2, 'once per principal and minute')
})

t.test('users, devices and tokens', async (t) => {
  t.match(
    await edge.call(admin, 'PUT /v1/users/ada', {
      email: 'ada@example.com',
      name: 'Ada',
      roles: ['customer'],
    }),
    {
      status: 201,
      body: { id: 'ada', email: 'ada@example.com' },
    },
  )
  t.match(await edge.call(admin, 'PUT /v1/users/ada', { name: null }), {
    status: 200,
    body: { email: 'ada@example.com', name: null, roles: ['customer'] },
  })
  for (const [body, field] of [
    [{ mail: 'x' }, 'mail'],
    [{ email: 7 }, 'email'],
    [{ timezone: 'Mars/Olympus' }, 'timezone'],
    [{ roles: 'x' }, 'roles'],
    [{ phone: '0660 1234567' }, 'phone'],
    [{ phone: 'call me' }, 'phone'],
  ] as const) {
    t.match(await edge.call(admin, 'PUT /v1/users/ada', body), { status: 400, body: { field } })
  }
  await edge.owner.query({ text: `UPDATE users SET phone = 'as it was' WHERE external_id = 'ada'` })
  t.match(await edge.call(admin, 'PUT /v1/users/ada', { name: 'Ada' }), { body: { phone: 'as it was' } })
  t.match(await edge.call(admin, 'PUT /v1/users/ada', { phone: '0043 (0)660 / 123 45 67' }), {
    status: 200,
    body: { phone: '+436601234567' },
  })
  t.match(await edge.call(admin, 'PUT /v1/users/ada', { phone: null }), { body: { phone: null } })
  t.equal((await edge.call(stranger, 'GET /v1/users/ada')).status, 404)
  t.equal((await edge.call(stranger, 'POST /v1/users/ada/token', {})).status, 404)
  await edge.call(admin, 'PUT /v1/users/bob', {})
  const token = text((await edge.call(admin, 'POST /v1/users/ada/token', {})).body.token)
  const bob = text((await edge.call(admin, 'POST /v1/users/bob/token', {})).body.token)
  t.match(await edge.call(token, 'GET /v1/me'), { status: 200, body: { id: 'ada' } })
  const phone = { kind: 'fcm', token: 'phone-1' }
  t.equal((await edge.call(token, 'PUT /v1/me/devices/phone', phone)).status, 201)
  t.equal((await edge.call(token, 'PUT /v1/me/devices/phone', phone)).status, 200)
  t.equal(
    (await edge.call(bob, 'PUT /v1/me/devices/phone', phone)).status,
    201,
    'the token moves with the sign-in',
  )
  t.same((await edge.call(admin, 'GET /v1/users/ada/devices')).body.devices, [])
  t.equal((await edge.call(token, 'DELETE /v1/me/devices/phone')).status, 404)
  t.equal((await edge.call(bob, 'DELETE /v1/me/devices/phone')).status, 204)
  t.equal((await edge.call(admin, 'PUT /v1/users/bob/devices/d1', { kind: 'fcm' })).status, 400)
  t.equal((await edge.call(admin, 'PUT /v1/users/nobody/devices/d1', phone)).status, 404)
  t.equal((await edge.call(admin, 'PUT /v1/topics/news/subscribers/bob')).status, 204)
  t.same((await edge.call(admin, 'GET /v1/topics/news/subscribers')).body.subscribers, ['bob'])
  t.equal((await edge.call(admin, 'PUT /v1/topics/news/subscribers/nobody')).status, 404)
  t.match(await edge.call(admin, 'PUT /v1/topics/city..vienna/subscribers/bob'), {
    status: 400,
    body: { code: 'VALIDATION', field: 'topic', detail: /city\.vienna/ },
  })
  t.equal((await edge.call(bob, 'PUT /v1/me/topics/city.vienna')).status, 204)
  t.equal((await edge.call(bob, 'PUT /v1/me/topics/city.vienna')).status, 204)
  t.same((await edge.call(bob, 'GET /v1/me/topics')).body, { topics: ['city.vienna', 'news'], next: null })
  t.same((await edge.call(admin, 'GET /v1/users/bob/topics?limit=1')).body, {
    topics: ['city.vienna'],
    next: 'city.vienna',
  })
  t.equal((await edge.call(admin, 'GET /v1/users/nobody/topics')).status, 404)
  t.equal((await edge.call(bob, 'DELETE /v1/me/topics/city.vienna')).status, 204)
  t.same((await edge.call(bob, 'GET /v1/me/topics')).body.topics, ['news'])
  t.equal((await edge.call(admin, 'PUT /v1/me/topics/news')).status, 403)
  t.match(await edge.call(admin, 'POST /v1/topics/news/subscribers', { users: ['ada', 'bob', 'nobody'] }), {
    status: 200,
    body: { added: 1, unknown: ['nobody'] },
  })
  t.same((await edge.call(admin, 'GET /v1/topics/news/subscribers')).body.subscribers, ['ada', 'bob'])
  t.same((await edge.call(stranger, 'GET /v1/topics/news/subscribers')).body.subscribers, [])
  t.equal((await edge.call(admin, 'DELETE /v1/topics/news/subscribers/ada')).status, 204)
  const topicFacts = await edge.stored('AUDIT', 'aud.topics.*.acme')
  t.equal(topicFacts.length, 5, 'each change is told, and what changes nothing is not')
  t.equal((await edge.call(admin, 'DELETE /v1/users/bob')).status, 204)
  t.same((await edge.call(admin, 'GET /v1/topics/news/subscribers')).body.subscribers, [])
  const facts = await edge.stored('AUDIT', 'aud.users.put.acme')
  t.ok(facts.length >= 3)
  t.notMatch(facts.map((fact) => fact.body).join(), /ada@example/)
  t.equal(
    (await edge.owner.query({ text: 'SELECT FROM outbox' })).rowCount,
    0,
    'what was told left the outbox',
  )
})

t.test('an event is found by our id and by source and id, with why somebody heard nothing', async (t) => {
  const hash = eventHash(sha256, { tenant: 'acme', source: '/test', id: 'known' })
  const key = Buffer.from(hash.subarray(0, 16))
  const [claimed] = await edge.owner
    .inTransaction((tx) => claimEventKeys(tx, [key]))
    .then((found) => [...found.values()])
  const id = eventRowId(claimed?.firstSeenMs ?? 0, hash)
  await edge.owner.query({
    text: `INSERT INTO events (id, tenant_id, source, event_id, type, lane, data, outcome, first_seen)
      VALUES ($1, 'acme', '/test', 'known', 'a.b', 'normal', '{}', $2, now())`,
    values: [
      id,
      JSON.stringify([
        { workflow: 'w', version: 1, matched: false, reason: 'CONDITION_FALSE', detail: 'data.x is 1' },
      ]),
    ],
  })
  t.match(await edge.call(admin, `GET /v1/events/${id}`), {
    status: 200,
    body: { eventId: 'known', runs: [], next: null },
  })
  t.match(await edge.call(admin, 'GET /v1/events/known?source=/test'), { status: 200, body: { id } })
  t.match(await edge.call(admin, 'GET /v1/events/known/explain?source=/test&user=ada'), {
    status: 200,
    body: {
      text: /told ada nothing\. .*[Ww]orkflow "w" version 1 listened and did not match: data\.x is 1\./,
    },
  })
  t.equal((await edge.call(stranger, `GET /v1/events/${id}`)).status, 404)
  t.equal((await edge.call(stranger, 'GET /v1/events/known?source=/test')).status, 404)
})

t.test('an answer that holds a secret is never kept', async (t) => {
  const headers = { 'idempotency-key': 'secret-1' }
  const body = { name: 'k', scopes: ['users:read'] }
  t.equal((await edge.call(admin, 'POST /v1/keys', body, headers)).status, 201)
  const kept = await edge.owner.query({ text: `SELECT FROM idempotency_keys WHERE key = 'secret-1'` })
  t.equal(kept.rowCount, 0)
})

t.test('preferences name categories that exist', async (t) => {
  t.equal((await edge.call(admin, 'PUT /v1/categories/offers', { name: 'Offers' })).status, 201)
  const preferences = [{ category: 'offers', channel: 'push', enabled: false }]
  t.match(await edge.call(admin, 'PUT /v1/users/ada/preferences', { preferences }), {
    status: 200,
    body: { preferences },
  })
  t.match(await edge.call(admin, 'PUT /v1/preferences', { preferences: [{ enabled: true }] }), {
    body: { preferences: [{ category: null, channel: null, enabled: true }] },
  })
  t.match(
    await edge.call(admin, 'PUT /v1/users/ada/preferences', {
      preferences: [{ category: 'x', enabled: true }],
    }),
    {
      status: 404,
      body: { code: 'CATEGORY_UNKNOWN' },
    },
  )
  const twice = [...preferences, ...preferences]
  t.equal((await edge.call(admin, 'PUT /v1/users/ada/preferences', { preferences: twice })).status, 400)
  t.same((await edge.call(admin, 'GET /v1/users/ada/preferences')).body.preferences, preferences)
})

t.test('a workflow is published from YAML, refused with place and remedy, and triggered', async (t) => {
  const yaml = 'key: hello\non: hello\nto: data.user\ncontent: { title: "Hi" }\nsteps: [inbox]\n'
  const asYaml = { 'content-type': 'application/yaml' }
  t.match(await edge.call(admin, 'PUT /v1/workflows/hello', yaml, asYaml), {
    status: 201,
    body: { version: 1 },
  })
  t.match(await edge.call(admin, 'PUT /v1/workflows/hello', yaml, asYaml), {
    status: 200,
    body: { version: 1, changed: false },
  })
  t.match(await edge.call(admin, 'PUT /v1/workflows/hello', yaml.replace('Hi', 'Ho'), asYaml), {
    body: { version: 2 },
  })
  t.match(
    await edge.call(admin, 'PUT /v1/workflows/hello', yaml.replace('[inbox]', '[inbox, fax]'), asYaml),
    {
      status: 422,
      body: { code: 'WORKFLOW_INVALID', field: 'steps.1', errors: [{ detail: /Write inbox/ }] },
    },
  )
  t.equal((await edge.call(admin, 'PUT /v1/workflows/other', yaml, asYaml)).status, 422)
  t.equal((await edge.call(admin, 'PUT /v1/workflows/hello', 'a: [', asYaml)).status, 400)
  t.match((await edge.call(admin, 'GET /v1/workflows/hello/versions')).body.versions, [
    { version: 2 },
    { version: 1, status: 'retired' },
  ])
  const trigger = { to: { id: 'eve', email: 'eve@example.com' }, data: { n: 1 } }
  t.match(await edge.call(admin, 'POST /v1/workflows/hello/trigger', trigger), {
    status: 202,
    body: { type: 'carillon.trigger.v1' },
  })
  const [message] = await edge.stored('EVENTS', 'evt.normal.acme.carillon.trigger.v1')
  t.same(JSON.parse(message?.body ?? ''), { workflow: 'hello', ...trigger })
  t.match(await edge.call(admin, 'POST /v1/workflows/nope/trigger', trigger), {
    status: 404,
    body: { code: 'WORKFLOW_UNKNOWN' },
  })
  t.equal((await edge.call(stranger, 'POST /v1/workflows/hello/trigger', trigger)).status, 404)
  t.equal((await edge.call(admin, 'POST /v1/workflows/hello/trigger', { to: [] })).status, 400)
  t.equal((await edge.stored('AUDIT', 'aud.workflows.triggered.acme')).length, 1)
  t.match(await edge.call(admin, 'PUT /v1/templates/bad', { locales: { en: { title: '{{ broken' } } }), {
    status: 422,
    body: { field: 'locales.en.title' },
  })
})

t.test('a notification is sent directly', async (t) => {
  const body = { to: ['ada'], title: 'Hello', channels: ['inbox', 'push'], lane: 'high', data: { a: 1 } }
  t.equal((await edge.call(admin, 'POST /v1/notifications', body)).status, 202)
  const [message] = await edge.stored('EVENTS', 'evt.high.acme.carillon.notification.v1')
  t.same(JSON.parse(message?.body ?? ''), {
    to: ['ada'],
    content: { title: 'Hello' },
    channels: ['inbox', 'push'],
    lane: 'high',
    data: { a: 1 },
  })
  t.match(await edge.call(admin, 'POST /v1/notifications', { to: ['ada'] }), {
    status: 400,
    body: { field: 'title' },
  })
  t.equal((await edge.call(admin, 'POST /v1/notifications', { ...body, channels: ['fax'] })).status, 400)
  t.equal((await edge.call(admin, 'POST /v1/notifications', { ...body, category: 'none' })).status, 404)
})

t.test('provider credentials are sealed and never come back', async (t) => {
  const credentials = {
    host: 'smtp.example.com',
    from: 'bells@example.com',
    user: 'bells',
    password: 'very-secret',
  }
  const put = await edge.call(admin, 'PUT /v1/providers/smtp?check=false', { credentials })
  t.match(put, { status: 201, body: { kind: 'smtp', channel: 'email' } })
  const listed = await edge.call(admin, 'GET /v1/providers')
  t.notMatch(JSON.stringify([put.body, listed.body]), /credentials|very-secret/)
  const { rows } = await edge.owner.query<{ text: string }>({
    text: `SELECT encode(credentials, 'escape') AS text FROM providers`,
  })
  t.notMatch(rows[0]?.text, /very-secret/)
})

t.test('the inbox pages, marks are heard as frames, and nobody reaches another inbox', async (t) => {
  const token = text((await edge.call(admin, 'POST /v1/users/ada/token', {})).body.token)
  const ids: string[] = []
  for (let minute = 0; minute < 5; minute++) ids.unshift(await edge.notify('acme', 'ada', minute))
  const foreign = await edge.notify('globex', 'ada', 1)
  const first = await edge.call(token, 'GET /v1/inbox?limit=3')
  t.match(first.body, {
    unread: 5,
    position: { epoch: 'e1', offset: 7 },
    notifications: [{ title: 't4', readAt: null }],
  })
  const second = await edge.call(token, `GET /v1/inbox?limit=3&before=${first.body.next}`)
  const listed = [...list(first.body.notifications), ...list(second.body.notifications)].map((one) => one.id)
  t.same(listed, ids)
  t.equal(second.body.next, null)
  t.equal((await edge.call(token, `PUT /v1/inbox/${ids[0]}/read`)).status, 204)
  t.equal((await edge.call(token, `PUT /v1/inbox/${ids[0]}/read`)).status, 204, 'again changes nothing')
  t.match(await edge.frames('acme', 'ada'), [
    {
      type: 'notification.updated',
      id: ids[0],
      changes: { readAt: /^20/, seenAt: /^20/, archivedAt: null, snoozedUntil: null, revision: 1 },
    },
  ])
  t.equal((await edge.frames('acme', 'ada')).length, 1)
  t.equal((await edge.call(token, `DELETE /v1/inbox/${ids[0]}/read`)).status, 204)
  t.match((await edge.frames('acme', 'ada'))[1], { changes: { readAt: null } })
  t.equal((await edge.call(token, `PUT /v1/inbox/${foreign}/read`)).status, 404)
  t.equal((await edge.call(token, `PUT /v1/inbox/${ids[1]}/archived`)).status, 204)
  t.equal((await edge.call(token, 'GET /v1/inbox?filter=archived')).body.notifications?.length, 1)
  t.same((await edge.call(token, 'POST /v1/inbox/read-all')).body, { changed: 4 })
  t.same((await edge.call(token, 'GET /v1/inbox/unread')).body, { unread: 0 })
  t.equal((await edge.call(token, 'GET /v1/inbox?limit=0')).status, 400)
  t.equal((await edge.call(token, 'PUT /v1/inbox/not-an-id/read')).status, 400)
  t.equal((await edge.call(admin, 'GET /v1/users/ada/inbox')).body.notifications?.length, 4)
  t.equal((await edge.call(token, `GET /v1/notifications/${ids[2]}`)).status, 200)
  t.equal((await edge.call(token, `GET /v1/notifications/${foreign}`)).status, 404)
  t.equal((await edge.call(stranger, `GET /v1/notifications/${ids[2]}/status`)).status, 404)
  const explained = await edge.call(admin, `GET /v1/notifications/${ids[2]}/explain`)
  t.match(explained, { status: 200, body: { text: /step 1 \(inbox\)/i, state: 'completed' } })
  t.equal((await edge.call(admin, `GET /v1/events/${randomUUID()}`)).status, 404)
  t.equal((await edge.call(admin, 'GET /v1/events/e1?source=/nobody')).status, 404)
})

t.test('receipts are believed by their token, and a bad one spoils only itself', async (t) => {
  const run = await edge.notify('acme', 'ada', 9)
  const delivery = run.replace(/.$/, (last) => (last === '0' ? '1' : '0'))
  await edge.owner.query({
    text: `INSERT INTO deliveries (run_id, id, tenant_id, user_id, channel, lane, step, address_kind, address, created_at, updated_at)
      VALUES ($1, $2, 'acme', $3, 'push', 'normal', 1, 'device', 'd', now(), now())`,
    values: [run, delivery, userId(sha256, 'acme', 'ada')],
  })
  const sign = (key: Buffer, expiresAt = Date.now() + 60_000) =>
    signReceiptToken(key, { tenant: 'acme', notificationId: run, deliveryId: delivery, expiresAt })
  const good = { token: sign(edge.receiptKey), status: 'opened' }
  const forged = { token: sign(Buffer.alloc(32)), status: 'opened' }
  const old = { token: sign(edge.receiptKey, Date.now() - 60_000), status: 'opened' }
  t.match(await edge.call(undefined, 'POST /v1/receipts', { receipts: [good, forged, old] }), {
    status: 202,
    body: {
      accepted: 1,
      rejected: [
        { index: 1, code: 'RECEIPT_TOKEN_INVALID' },
        { index: 2, detail: /expired/ },
      ],
    },
  })
  t.equal((await edge.call(undefined, 'POST /v1/receipts', { receipts: [forged] })).status, 401)
  const named = { notificationId: run, deliveryId: delivery, status: 'clicked' }
  t.equal((await edge.call(undefined, 'POST /v1/receipts', { receipts: [named] })).status, 401)
  t.equal((await edge.call(stranger, 'POST /v1/receipts', { receipts: [named] })).status, 404)
  t.equal((await edge.call(admin, 'POST /v1/receipts', { receipts: [named] })).status, 202)
  t.equal(
    (await edge.call(undefined, 'POST /v1/receipts', { receipts: [{ ...good, status: 'sent' }] })).status,
    400,
  )
  const [stored] = await edge.stored('RECEIPTS', 'rcp.push.opened.acme')
  t.match(JSON.parse(stored?.body ?? ''), { runId: run, deliveryId: delivery, by: 'device', channel: 'push' })
})

t.test('too many requests are refused with what is left and when', async (t) => {
  await edge.call(admin, 'PUT /v1/users/greedy', {})
  const token = text((await edge.call(admin, 'POST /v1/users/greedy/token', {})).body.token)
  const answers = await Promise.all(
    Array.from({ length: 130 }, () => edge.call(token, 'GET /v1/inbox/unread')),
  )
  const refused = answers.filter((answer) => answer.status === 429)
  t.ok(refused.length > 0)
  t.match(refused[0], {
    body: { code: 'RATE_LIMITED' },
    headers: { 'retry-after': /^\d+$/, ratelimit: /r=0/ },
  })
  t.ok(answers.filter((answer) => answer.status === 200).length <= 120)
  t.equal((await edge.call(admin, 'GET /v1/users/ada')).status, 200, 'others are not affected')
})

t.test('a suspended user is refused within seconds', async (t) => {
  await edge.call(admin, 'PUT /v1/users/zed', {})
  const token = text((await edge.call(admin, 'POST /v1/users/zed/token', {})).body.token)
  await edge.call(admin, 'PUT /v1/users/zed', { status: 'suspended' })
  t.match(await edge.call(token, 'GET /v1/inbox'), { status: 403, body: { code: 'SUSPENDED' } })
})

t.test(
  'the documents are true: every example is accepted, and every route says who may call it',
  async (t) => {
    const { body: document } = await edge.call(undefined, 'GET /openapi.json')
    t.match(text(document.openapi), /^3\.1/)
    t.equal((await edge.call(undefined, 'GET /docs/')).status, 200)
    await edge.call(admin, 'PUT /v1/templates/welcome', { locales: { en: { title: 'Welcome' } } })
    const parts: Record<string, string> = {
      kind: 'email',
      address: 'ada@example.com',
      channel: 'room:chat-1',
    }
    for (const route of Object.keys(ACCESS)) {
      const [method = '', url = ''] = route.split(' ')
      const path = url.replace(/:(\w+)/g, '{$1}')
      t.ok(document.paths?.[path]?.[method.toLowerCase()], `${route} is described`)
    }
    let examples = 0
    for (const [path, methods] of Object.entries(document.paths ?? {})) {
      for (const [method, operation] of Object.entries(methods)) {
        t.ok(operation.security, `${method} ${path}`)
        const content = operation.requestBody?.content ?? {}
        for (const [type, media] of Object.entries(content)) {
          const example = media.example ?? media.schema?.examples?.[0]
          if (example === undefined) continue
          examples++
          const names: Record<string, string> = {
            '/v1/workflows/{key}': 'ride-accepted',
            '/v1/workflows/{key}/trigger': 'hello',
            '/v1/providers/{kind}': 'smtp?check=false',
            '/v1/templates/{key}/publish': 'welcome',
          }
          const url = path.replace(/\{(\w+)\}/g, (_, name) => names[path] ?? parts[name as string] ?? 'ada')
          const mine = path.startsWith('/v1/me')
          const credential = mine
            ? text((await edge.call(admin, 'POST /v1/users/ada/token', {})).body.token)
            : admin
          const answer = await edge.call(credential, `${method.toUpperCase()} ${url}`, example, {
            'content-type': type,
          })
          t.ok(
            answer.status < 300,
            `${method} ${path} ${type}: ${answer.status} ${JSON.stringify(answer.body)}`,
          )
        }
      }
    }
    t.ok(examples >= 15, `${examples} examples`)
    const headers = (await edge.call(admin, 'GET /v1/users')).headers
    t.match(headers, { 'content-security-policy': /default-src 'none'/, 'cache-control': 'no-store' })
    const elsewhere = await edge.call(undefined, 'GET /v1/users', undefined, {
      origin: 'https://evil.example',
    })
    t.notOk(elsewhere.headers['access-control-allow-origin'])
  },
)
