import t from 'tap'
import { list, text, useEdge } from './support.js'

const edge = await useEdge(t)
const admin = await edge.key('acme', 'admin')
const stranger = await edge.key('globex', 'admin')

const saying = (title: string, steps: unknown[] = ['inbox']) => ({
  on: 'a.b',
  to: 'data.who',
  content: { title },
  steps,
})
const put = (key: string, query: string, definition: object) =>
  edge.call(admin, `PUT /v1/workflows/${key}${query}`, definition)
const publish = (key: string, version: number | string, query = '') =>
  edge.call(admin, `POST /v1/workflows/${key}/versions/${version}/publish${query}`)
const versions = async (key: string) =>
  Object.fromEntries(
    list((await edge.call(admin, `GET /v1/workflows/${key}/versions`)).body.versions).map((row) => [
      row.version,
      row.status,
    ]),
  )
const told = async (action: string, key: string) =>
  (await edge.stored('AUDIT', `aud.workflows.${action}.acme`))
    .map(({ body }) => JSON.parse(body))
    .filter(({ resource }) => resource === `workflow:${key}`)
    .map(({ details }) => details)

t.test('a draft waits, is published by name, and the version before comes back by number', async (t) => {
  t.match(await put('one', '', saying('a')), { status: 201, body: { version: 1, previous: null } })
  t.match(await put('one', '?as=draft', saying('b')), {
    status: 200,
    body: { version: 2, changed: true, previous: 1 },
  })
  t.match((await edge.call(admin, 'GET /v1/workflows/one')).body, { version: 1, status: 'published' })
  t.match((await edge.call(admin, 'GET /v1/workflows/one?version=draft')).body, {
    version: 2,
    definition: { content: { title: 'b' } },
  })
  t.match(await publish('one', 'draft'), { status: 200, body: { version: 2, previous: 1 } })
  t.equal((await publish('one', 'draft')).status, 404, 'there is no draft any more')
  t.match(await publish('one', 1), { status: 200, body: { key: 'one', version: 1, previous: 2 } })
  t.match(await publish('one', 1), { body: { changed: false } })
  t.equal((await publish('one', 9)).status, 404)
  t.equal((await publish('one', 'latest')).status, 400)
  const { body } = await edge.call(admin, 'GET /v1/workflows/one/versions')
  t.match(body.versions, [
    { version: 2, status: 'retired', publications: [{ from: String, to: String }] },
    { version: 1, status: 'published', publications: [{ to: String }, { to: null }] },
  ])
  t.same(await told('drafted', 'one'), [{ version: 2, previous: 1 }])
  t.same(await told('published', 'one'), [
    { version: 1 },
    { version: 2, previous: 1 },
    { version: 1, previous: 2 },
  ])
})

t.test('a shadow stands beside the published version until it is dropped', async (t) => {
  await put('two', '', saying('a'))
  t.match(await put('two', '?as=shadow', saying('b')), { body: { version: 2, previous: 1 } })
  t.same(await versions('two'), { 1: 'published', 2: 'shadow' })
  t.match((await edge.call(admin, 'GET /v1/workflows/two?version=shadow')).body, { version: 2 })
  t.equal((await edge.call(admin, 'DELETE /v1/workflows/two/shadow')).status, 204)
  t.equal((await edge.call(admin, 'DELETE /v1/workflows/two/shadow')).status, 404)
  t.same(await versions('two'), { 1: 'published', 2: 'retired' })
  t.same(await told('shadowed', 'two'), [{ version: 2, previous: 1 }])
  t.equal((await told('unshadowed', 'two')).length, 1)
})

t.test('who expects another published version changes nothing and is told which it is', async (t) => {
  t.match(await put('three', '?expect=1', saying('a')), { status: 409, body: { code: 'WORKFLOW_MOVED' } })
  t.match(await put('three', '?expect=0', saying('a')), { status: 201 })
  t.match(await put('three', '?expect=1', saying('b')), { body: { version: 2 } })
  t.match(await put('three', '?expect=1', saying('c')), { status: 409, body: { detail: /version 2 is/ } })
  t.equal((await publish('three', 1, '?expect=1')).status, 409)
  t.equal((await publish('three', 1, '?expect=2')).status, 200)
  t.same(await versions('three'), { 1: 'published', 2: 'retired' })
  for (const query of ['?as=hidden', '?expect=two', '?as=__proto__'])
    t.equal((await put('three', query, saying('d'))).status, 400, query)
})

t.test('checking tells every problem at once and stores nothing', async (t) => {
  const check = (body: unknown) => edge.call(admin, 'POST /v1/workflows/validate', body)
  t.match(await check({ key: 'four', ...saying('a') }), { status: 200, body: { valid: true } })
  const bad = { key: 'four', ...saying('{{ broken'), if: 'data.', expires: '2d' }
  const refused = await check({ ...bad, steps: [{ email: { template: 'gone' } }] })
  t.match(refused, { status: 422, body: { code: 'WORKFLOW_INVALID' } })
  const fields = list(refused.body.errors).map(({ field }) => text(field))
  t.ok(fields.includes('if'), fields.join())
  t.ok(
    fields.some((field) => field.startsWith('steps.0.email')),
    fields.join(),
  )
  t.match(await check(saying('a')), { status: 422, body: { field: 'key' } })
  t.match(await check({ key: 'direct', ...saying('a') }), { status: 422, body: { field: 'key' } })
  t.equal((await edge.call(admin, 'GET /v1/workflows/four/versions')).status, 404)
})

t.test('a draft may name a template that is a draft, and is not published before it', async (t) => {
  const definition = saying('a', ['inbox', { email: { template: 'late' } }])
  const locales = { en: { subject: 'Late', html: '<p>x</p>' } }
  t.equal((await put('five', '?as=draft', definition)).status, 422)
  await edge.call(admin, 'PUT /v1/templates/late', { locales, draft: true })
  t.equal((await put('five', '?as=draft', definition)).status, 201)
  t.match((await edge.call(admin, 'GET /v1/workflows?status=draft')).body.workflows, [{ key: 'five' }])
  const check = (query: string) =>
    edge.call(admin, `POST /v1/workflows/validate${query}`, { key: 'five', ...definition })
  t.equal((await check('?as=draft')).status, 200)
  t.equal((await check('')).status, 422)
  t.match(await publish('five', 'draft'), { status: 422, body: { code: 'WORKFLOW_INVALID' } })
  await edge.call(admin, 'POST /v1/templates/late/publish', { version: 1 })
  t.match(await publish('five', 'draft'), {
    status: 200,
    body: { version: 1, changed: true, previous: null },
  })
})

t.test('what a step waits for is kept once the version is published, a rollback included', async (t) => {
  const waiting = saying('a', ['inbox', { wait: { event: 'paid', key: 'data.id', for: '1d' } }, 'push'])
  const awaited = async () =>
    (await edge.owner.inTenant('acme', (tx) => tx.query({ text: 'SELECT type, expression FROM awaited' })))
      .rows
  await put('six', '?as=draft', waiting)
  t.same(await awaited(), [])
  await publish('six', 'draft')
  t.same(await awaited(), [{ type: 'paid', expression: 'data.id' }])
})

t.test("another tenant's workflows are out of reach", async (t) => {
  await put('seven', '', saying('a'))
  await put('seven', '?as=shadow', saying('b'))
  for (const line of [
    'POST /v1/workflows/seven/versions/1/publish',
    'DELETE /v1/workflows/seven/shadow',
    'GET /v1/workflows/seven?version=shadow',
    'GET /v1/workflows/seven/versions',
  ])
    t.equal((await edge.call(stranger, line)).status, 404, line)
})
