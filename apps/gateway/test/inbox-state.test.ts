import { randomUUID } from 'node:crypto'
import { askSubject, type InboxReply, userId } from '@carillon/contracts'
import { ask } from '@carillon/jetstream'
import { sha256 } from '@carillon/service'
import t from 'tap'
import { list, text, useEdge } from './support.js'

/** The gateway's clock, where it stands still. */
let stopped: number | undefined
const edge = await useEdge(t, { CARILLON_LIMIT_USER: '100' }, () => stopped ?? Date.now())
const admin = await edge.key('acme', 'admin')
const MINUTE = 60_000
const ahead = (ms: number) => new Date(Date.now() + ms).toISOString()

/** A person of acme with `count` unread notifications, the newest first. */
async function person(name: string, count: number) {
  await edge.call(admin, `PUT /v1/users/${name}`, {})
  const token = text((await edge.call(admin, `POST /v1/users/${name}/token`, {})).body.token)
  const ids: string[] = []
  for (let minute = 0; minute < count; minute++) ids.unshift(await edge.notify('acme', name, minute))
  const user = { id: userId(sha256, 'acme', name), externalId: name }
  return {
    token,
    ids,
    user,
    call: (line: string, body?: unknown) => edge.call(token, line, body),
    shown: async (filter: string) =>
      list((await edge.call(token, `GET /v1/inbox?filter=${filter}`)).body.notifications).map(({ id }) =>
        text(id),
      ),
    unread: async () => (await edge.call(token, 'GET /v1/inbox/unread')).body.unread,
    frames: () => edge.frames('acme', name),
    ask: (method: string, params?: unknown) => askInbox('acme', { method, params, user }),
  }
}

async function askInbox(tenant: string, question: unknown): Promise<InboxReply> {
  // how long an answer takes is not what is tested
  return (await ask(edge.connection, askSubject('inbox', tenant), question, {
    timeoutMs: 30_000,
  })) as InboxReply
}

t.test('what is put off leaves the inbox and the count, and can be taken back', async (t) => {
  const ada = await person('ada', 3)
  const [first = '', second = ''] = ada.ids
  const until = ahead(60 * MINUTE)
  t.equal((await ada.call(`PUT /v1/inbox/${first}/snoozed`, { until })).status, 204)
  t.same(await ada.shown('all'), ada.ids.slice(1))
  t.same(await ada.shown('unread'), ada.ids.slice(1))
  t.same(await ada.shown('snoozed'), [first])
  t.equal(await ada.unread(), 2)
  t.match(await ada.frames(), [
    {
      type: 'notification.updated',
      id: first,
      changes: { snoozedUntil: until, seenAt: /^20/, readAt: null, revision: 1 },
    },
  ])
  t.equal((await ada.call(`PUT /v1/inbox/${first}/snoozed`, { until })).status, 204, 'again changes nothing')
  t.equal((await ada.frames()).length, 1)

  t.equal((await ada.call(`DELETE /v1/inbox/${first}/snoozed`)).status, 204)
  t.same(await ada.shown('all'), ada.ids)
  const back = (await ada.frames())[1]
  t.match(
    back,
    { changes: { id: first, title: 't2', snoozedUntil: null, revision: 2 } },
    'it comes back whole',
  )
  t.equal((await ada.call(`DELETE /v1/inbox/${first}/snoozed`)).status, 204)
  t.equal((await ada.frames()).length, 2)

  await ada.call(`PUT /v1/inbox/${second}/snoozed`, { until })
  await ada.call(`PUT /v1/inbox/${second}/archived`)
  t.same(await ada.shown('snoozed'), [], 'what is archived is not put off any more')
  t.same(await ada.shown('archived'), [second])
  await ada.call(`PUT /v1/inbox/${second}/snoozed`, { until })
  t.same(await ada.shown('archived'), [], 'and the other way round')
  t.match((await edge.call(admin, `GET /v1/notifications/${second}`)).body, {
    snoozedUntil: until,
    archivedAt: null,
  })
})

t.test('only a time ahead, at most a year, puts anything off', async (t) => {
  const { call, ids, shown } = await person('bob', 1)
  const put = (until: unknown) => call(`PUT /v1/inbox/${ids[0]}/snoozed`, { until })
  for (const until of [ahead(-MINUTE), ahead(400 * 24 * 60 * MINUTE)])
    t.match(await put(until), { status: 400, body: { code: 'SNOOZE_INVALID', field: 'until' } }, until)
  for (const until of ['tomorrow', 5, null, undefined, '2031-02-30T25:00:00Z'])
    t.match(await put(until), { status: 400, body: { code: 'VALIDATION' } }, String(until))
  t.equal((await call(`PUT /v1/inbox/${ids[0]}/snoozed`, { until: ahead(MINUTE), why: 'x' })).status, 400)
  t.equal((await call(`PUT /v1/inbox/${randomUUID()}/snoozed`, { until: ahead(MINUTE) })).status, 404)
  t.same(await shown('all'), ids)
  t.equal((await put('2026-01-01T00:00:00+01:00')).status, 400)
})

t.test('what is removed is gone from every list, and the history explains it still', async (t) => {
  const cy = await person('cy', 2)
  const stranger = await person('stranger', 0)
  const [first = '', second = ''] = cy.ids
  t.equal((await stranger.call(`DELETE /v1/inbox/${first}`)).status, 404, 'nobody else removes it')
  t.equal((await cy.call(`DELETE /v1/inbox/${first}`)).status, 204)
  t.equal((await cy.call(`DELETE /v1/inbox/${first}`)).status, 204, 'again changes nothing')
  t.same(await cy.frames(), [{ type: 'notification.removed', id: first }])
  for (const filter of ['all', 'unread']) t.same(await cy.shown(filter), [second])
  for (const filter of ['archived', 'snoozed']) t.same(await cy.shown(filter), [])
  t.equal(await cy.unread(), 1)
  for (const mark of ['seen', 'read', 'archived'])
    t.equal((await cy.call(`PUT /v1/inbox/${first}/${mark}`)).status, 404, `${mark} finds nothing to mark`)
  t.equal((await cy.call(`PUT /v1/inbox/${first}/snoozed`, { until: ahead(MINUTE) })).status, 404)
  t.same((await cy.call('POST /v1/inbox/read-all')).body, { changed: 1 })
  t.match(await edge.call(admin, `GET /v1/notifications/${first}`), {
    status: 200,
    body: { removedAt: /^20/ },
  })
})

t.test('a connection asks for the same operations, a hundred ids at a time', async (t) => {
  const dee = await person('dee', 6)
  const [a = '', b = '', c = '', d = ''] = dee.ids
  const other = await person('other', 1)
  const page = await dee.ask('inbox', { limit: 2 })
  t.same(page, { ok: true, data: (await dee.call('GET /v1/inbox?limit=2')).body }, 'as over HTTP')
  t.match(await dee.ask('inbox', { before: b, filter: 'unread' }), {
    ok: true,
    data: { notifications: { length: 4 } },
  })
  const changed = (count: number) => ({ ok: true, data: { changed: count } })
  t.same(await dee.ask('inbox.seen', { ids: [a, b, other.ids[0], randomUUID()] }), changed(2))
  t.same(await dee.ask('inbox.read', { ids: [a, b, c] }), changed(3))
  t.same(await dee.ask('inbox.read', { ids: [a, b, c] }), changed(0))
  t.same(await dee.ask('inbox.read', { ids: [c], set: false }), changed(1))
  t.same(await dee.ask('inbox.archived', { ids: [a] }), changed(1))
  t.same(await dee.ask('inbox.snoozed', { ids: [b, c], until: ahead(MINUTE) }), changed(2))
  t.same(await dee.ask('inbox.snoozed', { ids: [c], until: null }), changed(1))
  t.same(await dee.ask('inbox.delete', { ids: [d] }), changed(1))
  t.same(await dee.ask('inbox.unread'), { ok: true, data: { unread: 3 } })
  t.same(await dee.ask('inbox.read-all', {}), changed(3))
  t.same(await dee.ask('inbox.unread', {}), { ok: true, data: { unread: 0 } })
  t.same(await dee.shown('all'), [c, ...dee.ids.slice(4)])
  t.equal((await dee.frames()).length, 2 + 3 + 1 + 1 + 2 + 1 + 1 + 3, 'one frame for each that changed')
  t.same(await other.frames(), [], 'nothing of anybody else')
})

t.test('read-all reads a long inbox to its end, and two at once read each notification once', async (t) => {
  const lea = await person('lea', 1)
  const [template = ''] = lea.ids
  await edge.owner.query({
    text: `INSERT INTO runs (id, tenant_id, event_id, workflow_key, workflow_version, user_id, recipient, lane, state, plan, content, in_inbox, created_at)
      SELECT (left($1, 24) || lpad(to_hex(n), 12, '0'))::uuid, tenant_id, event_id, workflow_key, workflow_version, user_id, recipient, lane, state, plan, content, in_inbox, created_at
      FROM runs, generate_series(1, 1099) AS n WHERE id = $1::uuid`,
    values: [template],
  })
  t.equal(await lea.unread(), 1_000, 'counting stops at a thousand')
  const both = await Promise.all([lea.call('POST /v1/inbox/read-all'), lea.ask('inbox.read-all')])
  const [over, asked] = [Number(both[0]?.body.changed), both[1]]
  t.equal(over + (asked.ok ? (asked.data as { changed: number }).changed : 0), 1_100)
  t.equal(await lea.unread(), 0)
})

t.test('a question that is not one is refused and harms nobody', async (t) => {
  const eve = await person('eve', 1)
  const refused = async (params: unknown, method = 'inbox.read') => {
    const reply = await eve.ask(method, params)
    t.match(
      reply,
      { ok: false, status: 400, code: 'VALIDATION', detail: /\S/ },
      `${method} ${JSON.stringify(params)}`.slice(0, 80),
    )
  }
  for (const params of [
    undefined,
    {},
    [],
    'x',
    { ids: [] },
    { ids: ['x'] },
    { ids: Array.from({ length: 101 }, () => randomUUID()) },
    { ids: eve.ids, set: 'yes' },
    { ids: eve.ids, more: 1 },
    JSON.parse(`{"ids": ["${eve.ids[0]}"], "__proto__": {"set": false}}`),
  ])
    await refused(params)
  await refused({ ids: eve.ids, until: 'tomorrow' }, 'inbox.snoozed')
  await refused({ ids: eve.ids }, 'inbox.snoozed')
  await refused({ filter: 'everything' }, 'inbox')
  await refused({ limit: 201 }, 'inbox')
  await refused({ x: 1 }, 'inbox.read-all')
  await refused({}, 'inbox.forget')
  await refused({}, 'toString')
  t.match(await eve.ask('inbox.snoozed', { ids: eve.ids, until: ahead(-1) }), {
    status: 400,
    code: 'SNOOZE_INVALID',
  })
  for (const question of [
    null,
    [],
    'inbox',
    { method: 'inbox' },
    { method: 'inbox', user: { ...eve.user, tenant: 'globex' } },
  ])
    t.match(await askInbox('acme', question), { ok: false, status: 400 })
  t.match(await askInbox('acme', { method: 'inbox', user: { ...eve.user, externalId: 'ada' } }), {
    status: 400,
  })
  t.match(
    await askInbox('globex', { method: 'inbox', user: eve.user }),
    { status: 400 },
    'ids belong to a tenant',
  )
  const foreign = { id: userId(sha256, 'globex', 'eve'), externalId: 'eve' }
  t.match(
    await askInbox('globex', { method: 'inbox', user: foreign }),
    { ok: true, data: { notifications: { length: 0 } } },
    'the subject says which tenant',
  )
  const nowhere = { id: userId(sha256, 'nowhere', 'eve'), externalId: 'eve' }
  t.match(await askInbox('nowhere', { method: 'inbox', user: nowhere }), { ok: false, status: 401 })
  t.match(await ask(edge.connection, 'ask.inbox.NO_TENANT', { method: 'inbox', user: eve.user }), {
    ok: false,
    status: 401,
  })
  t.same(await eve.shown('unread'), eve.ids)
})

t.test('who is suspended, or asks too often, is refused as over HTTP', async (t) => {
  const fay = await person('fay', 1)
  // within one minute: in the next one some are let through again
  stopped = Date.now()
  t.match(await fay.ask('inbox.unread'), { ok: true })
  const limited: InboxReply[] = []
  for (let round = 0; round < 4; round++) {
    const replies = await Promise.all(Array.from({ length: 30 }, () => fay.ask('inbox.unread')))
    limited.push(...replies.filter((reply) => !reply.ok))
  }
  t.equal(limited.length, 21, 'of 121')
  t.match(limited[0], { status: 429, code: 'RATE_LIMITED', detail: /Try again in/ })
  t.equal((await fay.call('GET /v1/inbox/unread')).status, 429, 'both count together')
  stopped = undefined
  const gus = await person('gus', 1)
  await edge.call(admin, 'PUT /v1/users/gus', { status: 'suspended' })
  t.match(await gus.ask('inbox.read', { ids: gus.ids }), { ok: false, status: 403, code: 'SUSPENDED' })
})

t.test('a page that no message can carry is refused, and a smaller one is not', async (t) => {
  const hal = await person('hal', 4)
  await edge.owner.query({
    text: `UPDATE runs SET content = json_build_object('inbox', json_build_object('title', 't', 'body', repeat('x', 300000))) WHERE id = ANY ($1)`,
    values: [hal.ids],
  })
  t.match(await hal.ask('inbox', {}), { ok: false, status: 413, code: 'PAGE_TOO_LARGE' })
  t.match(await hal.ask('inbox', { limit: 2 }), { ok: true, data: { notifications: { length: 2 } } })
})

t.test('more questions than can be worked on are refused at once, the others answered', async (t) => {
  const joe = await person('joe', 1)
  let asked: Promise<InboxReply>[] = []
  await edge.owner.inTenant('acme', async (tx) => {
    await tx.query({ text: 'SELECT FROM runs WHERE id = $1 FOR UPDATE', values: joe.ids })
    asked = Array.from({ length: 80 }, () => joe.ask('inbox.read', { ids: joe.ids }))
    t.match(await Promise.race(asked), { ok: false, status: 503, code: 'OVERLOADED' })
  })
  const replies = await Promise.all(asked)
  t.equal(replies.filter((reply) => reply.ok).length, 64)
  t.match(await joe.ask('inbox.unread'), { ok: true, data: { unread: 0 } })
})

t.test('a gateway that stops answers what it has taken and takes no more', async (t) => {
  const ida = await person('ida', 30)
  const asked = ida.ids.map((id) => ida.ask('inbox.read', { ids: [id] }))
  // the questions are there before the drain begins: the server delivers in order
  await askInbox('acme', {})
  await edge.drain()
  for (const reply of await Promise.all(asked)) t.same(reply, { ok: true, data: { changed: 1 } })
  await t.rejects(ida.ask('inbox.unread'), { code: 'UNAVAILABLE' })
})
