import t from 'tap'
import { list, useEdge } from './support.js'

const edge = await useEdge(t)
const admin = await edge.key('acme', 'admin')
const stranger = await edge.key('globex', 'admin')

const put = (key: string, body: object) => edge.call(admin, `PUT /v1/templates/${key}`, body)
const partial = (text: string, more: object = {}) => ({
  kind: 'partial',
  locales: { default: { text } },
  ...more,
})
const mail = (html: string, more: object = {}) => ({
  locales: { en: { subject: 'Mail', html, layout: 'frame' } },
  ...more,
})
const workflow = (key: string, steps: unknown[], content: object = { title: 'x' }) =>
  edge.call(admin, `PUT /v1/workflows/${key}`, { key, on: 'a.b', to: 'data.who', content, steps })

t.test('partials, layouts and texts are published in the order in which they need each other', async (t) => {
  t.match(await put('mail', mail('{% render "car", car: data.car %}')), {
    status: 422,
    body: { code: 'TEMPLATE_INVALID', field: 'locales.en.html', detail: /no partial "car"/ },
  })
  t.match(await put('car', partial('{{ car.name }}')), { status: 201, body: { version: 1, changed: true } })
  t.match(await put('car', partial('{{ car.name }}')), { status: 200, body: { changed: false } })
  t.match(await put('mail', mail('{% render "car", car: data.car %}')), { body: { detail: /no layout/ } })
  t.match(await put('frame', { kind: 'layout', locales: { default: { html: '<p></p>' } } }), {
    status: 422,
    body: { detail: /no place for the mail/ },
  })
  const frame = { kind: 'layout', locales: { default: { html: '<p>{{ content }}</p>' } } }
  t.equal((await put('frame', frame)).status, 201)
  t.equal((await put('mail', mail('{% render "car", car: data.car %}'))).status, 201)
  t.equal((await workflow('rides', ['inbox', { email: { template: 'mail' } }])).status, 201)
  t.match((await edge.call(admin, 'GET /v1/templates')).body.templates, [
    { key: 'car', kind: 'partial', locales: { default: { text: '{{ car.name }}' } } },
    { key: 'frame', kind: 'layout' },
    { key: 'mail', kind: 'content' },
  ])
  t.same((await edge.call(stranger, 'GET /v1/templates')).body.templates, [])
})

t.test('a workflow is checked against the partials and layouts in force', async (t) => {
  t.match(await workflow('bad', ['inbox'], { title: '{% render "gone" %}' }), {
    status: 422,
    body: { field: 'content.title', detail: /no partial "gone"/ },
  })
  t.match(await workflow('bad', [{ email: { template: 'car' } }]), {
    status: 422,
    body: { field: 'steps.0.email.template' },
  })
  t.equal((await workflow('news', ['inbox'], { title: '{% render "car", car: data.car %}' })).status, 201)
})

t.test('nothing that is needed is taken off, and who needs it is told', async (t) => {
  const refused = async (key: string, names: RegExp) =>
    t.match(await edge.call(admin, `DELETE /v1/templates/${key}`), {
      status: 409,
      body: { code: 'TEMPLATE_IN_USE', detail: names },
    })
  await refused('car', /workflow news, template mail\.$/)
  await refused('frame', /template mail\.$/)
  await refused('mail', /workflow rides\.$/)
  t.equal((await edge.call(admin, 'DELETE /v1/workflows/rides')).status, 204)
  t.equal((await edge.call(admin, 'DELETE /v1/templates/mail')).status, 204)
  t.equal((await edge.call(admin, 'DELETE /v1/templates/mail')).status, 404)
  t.equal((await edge.call(admin, 'DELETE /v1/templates/frame')).status, 204)
  t.equal((await edge.call(stranger, 'DELETE /v1/templates/car')).status, 404)
  await refused('car', /workflow news\.$/)
})

t.test('a version that would break others is refused, near and far', async (t) => {
  t.match(await put('car', partial('{{ car.name }} {{ colour }}')), {
    status: 409,
    body: {
      code: 'TEMPLATE_IN_USE',
      detail: /workflow news would not work any more: .*without colour/,
      errors: [{ field: 'workflow news' }],
    },
  })
  t.equal((await put('wheel', partial('{{ size }}'))).status, 201)
  t.equal((await put('car', partial('{{ car.name }}{% render "wheel", size: car.wheel %}'))).status, 200)
  t.match(await put('wheel', partial('{% render "gone" %}')), { status: 422 })
  t.match(await put('wheel', partial('{% render "car", car: size %}')), {
    status: 422,
    body: { detail: /circle: wheel → car → wheel/ },
  })
  t.match(await put('wheel', { locales: { en: { title: 'x' } } }), {
    status: 409,
    body: { code: 'TEMPLATE_KIND_FIXED', field: 'kind' },
  })
})

t.test('drafts are kept apart, published, and rolled back', async (t) => {
  const epoch = async () =>
    (
      await edge.owner.inTenant('acme', (tx) =>
        tx.query({ text: `SELECT epoch FROM tenants WHERE id = 'acme'` }),
      )
    ).rows[0]
  t.equal((await put('hi', partial('one'))).status, 201)
  const before = await epoch()
  t.match(await put('hi', partial('two', { draft: true })), { body: { version: 2, changed: true } })
  t.match(await put('hi', partial('two!', { draft: true })), { body: { version: 2, changed: true } })
  t.match(await put('hi', partial('two!', { draft: true })), { body: { version: 2, changed: false } })
  t.same(await epoch(), before, 'dispatchers hear nothing of drafts')
  t.match(
    await put(
      'ho',
      mail('{% render "hi" %}', { draft: true, locales: { en: { html: '{% render "hi" %}' } } }),
    ),
    {
      status: 201,
    },
  )
  t.match(await put('broken', partial('{{', { draft: true })), { status: 422 })
  const one = async (query = '') => (await edge.call(admin, `GET /v1/templates/hi${query}`)).body
  t.match(await one(), { version: 1, status: 'published', locales: { default: { text: 'one' } } })
  t.match(await one('?version=2'), { status: 'draft', locales: { default: { text: 'two!' } } })
  t.equal((await edge.call(admin, 'GET /v1/templates/ho')).status, 404)
  t.match(
    list((await edge.call(admin, 'GET /v1/templates?status=draft')).body.templates).map(({ key }) => key),
    ['hi', 'ho'],
  )
  const publish = (version: number) => edge.call(admin, 'POST /v1/templates/hi/publish', { version })
  t.match(await publish(2), { status: 200, body: { version: 2, changed: true } })
  t.match(await publish(2), { status: 200, body: { changed: false } })
  t.notSame(await epoch(), before)
  t.match(await put('hi', partial('three')), { body: { version: 3 } })
  t.match(await publish(1), { status: 200, body: { version: 1, changed: true } }, 'back to an older one')
  t.match((await edge.call(admin, 'GET /v1/templates/hi/versions')).body.versions, [
    { version: 3, status: 'retired', kind: 'partial' },
    { version: 2, status: 'retired' },
    { version: 1, status: 'published' },
  ])
  t.equal((await publish(9)).status, 404)
  const facts = await edge.stored('AUDIT', 'aud.templates.published.acme')
  t.ok(facts.length > 0)
  t.equal((await edge.stored('AUDIT', 'aud.templates.drafted.acme')).length, 3)
})

t.test('what is no template is refused', async (t) => {
  for (const body of [
    {},
    { locales: {} },
    { kind: 'partial', locales: { default: { title: 'x' } } },
    { kind: 'layout', locales: { default: { text: 'x' } } },
    { kind: 'frame', locales: { default: { html: 'x' } } },
    { locales: { en: { title: 'x', colour: 'red' } } },
    { locales: { 'not a locale': { title: 'x' } } },
    { locales: { en: { messages: { 'no key!': 'x' } } } },
  ])
    t.equal((await put('x', body)).status, 400, JSON.stringify(body))
  t.match(await put('x', { kind: 'partial', locales: { de: { text: 'x' } } }), {
    status: 422,
    body: { detail: /has no default/ },
  })
})
