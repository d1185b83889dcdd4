import t from 'tap'
import { list, useEdge } from './support.js'

const edge = await useEdge(t)
const admin = await edge.key('acme', 'admin')
const users = await edge.key('acme', 'users:write')
await edge.call(admin, 'PUT /v1/users/ada', { timezone: 'Europe/Vienna' })
const token = String((await edge.call(admin, 'POST /v1/users/ada/token', {})).body.token)

const night = { windows: [{ from: '22:00', to: '07:00' }] }
const weekend = {
  windows: [{ from: '00:00', to: '00:00', days: ['sat', 'sun'] }],
  channels: ['push', 'email'],
}

const epochOf = async () =>
  (
    await edge.owner.inTenant('acme', (tx) =>
      tx.query<{ epoch: number }>({ text: `SELECT epoch FROM tenants WHERE id = 'acme'` }),
    )
  ).rows[0]?.epoch ?? 0

t.test("quiet hours: the person's own over the tenant's", async (t) => {
  t.match(await edge.call(token, 'GET /v1/me/quiet-hours'), {
    body: { quietHours: null, by: null, timezone: 'Europe/Vienna' },
  })
  t.match(await edge.call(admin, 'PUT /v1/quiet-hours', night), {
    status: 200,
    body: { by: 'tenant', timezone: 'UTC' },
  })
  t.match(await edge.call(token, 'GET /v1/me/quiet-hours'), { body: { quietHours: night, by: 'tenant' } })
  t.match(await edge.call(token, 'PUT /v1/me/quiet-hours', weekend), {
    body: { quietHours: weekend, by: 'person' },
  })
  t.match(await edge.call(users, 'GET /v1/users/ada/quiet-hours'), { body: { by: 'person' } })
  t.match(
    await edge.call(users, 'PUT /v1/users/ada/quiet-hours', { windows: [] }),
    { body: { quietHours: { windows: [] }, by: 'person' } },
    'no window at all: never quiet',
  )
  t.match(await edge.call(token, 'DELETE /v1/me/quiet-hours'), { body: { quietHours: night, by: 'tenant' } })
  t.match(await edge.call(users, 'PUT /v1/users/nobody/quiet-hours', night), { status: 404 })
  t.equal((await edge.stored('AUDIT', 'aud.quiet-hours.>')).length, 4)
})

t.test('quiet hours that no clock can show are refused with their place', async (t) => {
  for (const windows of [
    [{ from: '24:00', to: '07:00' }],
    [{ from: '9:00', to: '10:00' }],
    [{ from: '22:00', to: '07:00', days: ['someday'] }],
    [{ from: '22:00' }],
    Array.from({ length: 8 }, () => ({ from: '22:00', to: '07:00' })),
  ]) {
    t.match(await edge.call(users, 'PUT /v1/users/ada/quiet-hours', { windows }), {
      status: 400,
      body: { code: 'VALIDATION', field: /^windows/ },
    })
  }
})

t.test("the clock of everybody without their own is the tenant's, and can be set", async (t) => {
  await edge.call(admin, 'PUT /v1/users/eve', {})
  const clockOf = async (name: string) =>
    (await edge.call(users, `GET /v1/users/${name}/quiet-hours`)).body.timezone
  t.match(await edge.call(users, 'GET /v1/tenant'), { status: 200, body: { id: 'acme', timezone: 'UTC' } })
  const before = await epochOf()
  t.match(await edge.call(admin, 'PUT /v1/tenant', { timezone: 'Asia/Kathmandu' }), {
    status: 200,
    body: { id: 'acme', name: 'acme', locale: 'en', timezone: 'Asia/Kathmandu' },
  })
  t.equal(await epochOf(), before + 1, 'dispatchers are told')
  t.equal((await edge.stored('AUDIT', 'aud.tenants.put.acme')).length, 1)
  t.equal(await clockOf('eve'), 'Asia/Kathmandu')
  t.equal(await clockOf('ada'), 'Europe/Vienna')
  for (const timezone of ['Mars/Olympus', '+02:00']) {
    const refused = { status: 400, body: { code: 'VALIDATION', field: 'timezone', detail: /Europe\/Vienna/ } }
    t.match(await edge.call(admin, 'PUT /v1/tenant', { timezone }), refused)
    t.match(await edge.call(users, 'PUT /v1/users/eve', { timezone }), refused)
  }
  t.equal((await edge.call(users, 'PUT /v1/tenant', {})).status, 403)
})

t.test('caps hold for everybody and take effect with the next batch', async (t) => {
  const caps = [
    { count: 3, per: '1d', channels: ['push', 'sms'] },
    { count: 10, per: '7d' },
  ]
  const before = await epochOf()
  t.match(await edge.call(admin, 'PUT /v1/caps', { caps }), { status: 200, body: { caps } })
  t.same((await edge.call(admin, 'GET /v1/caps')).body.caps, caps)
  t.equal(await epochOf(), before + 1)
  t.match(await edge.call(admin, 'PUT /v1/caps', { caps: [{ count: 1, per: '400d' }] }), {
    status: 400,
    body: { field: 'caps.0.per', detail: /365d/ },
  })
  t.equal((await edge.call(users, 'PUT /v1/caps', { caps: [] })).status, 403)
})

t.test('preferences may have conditions, which are checked when they are put', async (t) => {
  await edge.call(admin, 'PUT /v1/categories/bids', { name: 'Bids', defaults: { email: false } })
  await edge.call(admin, 'PUT /v1/categories/codes', { name: 'Codes', critical: true })
  const rule = { category: 'bids', channel: 'push', enabled: true, if: 'data.amount > 100' }
  t.match(await edge.call(token, 'PUT /v1/me/preferences', { preferences: [rule] }), {
    status: 200,
    body: { preferences: [rule] },
  })
  t.match(
    await edge.call(token, 'PUT /v1/me/preferences', { preferences: [{ ...rule, if: 'data.amount >' }] }),
    {
      status: 400,
      body: { field: 'preferences.0.if', detail: /CEL/ },
    },
  )
  t.match(
    await edge.call(token, 'PUT /v1/me/preferences', { preferences: [{ ...rule, if: 'user.id == "x"' }] }),
    {
      status: 400,
    },
  )
})

t.test('what holds in the end names the layer that decided', async (t) => {
  await edge.call(admin, 'PUT /v1/preferences', { preferences: [{ channel: 'sms', enabled: false }] })
  const answer = await edge.call(token, 'GET /v1/me/preferences/effective')
  const of = (category: string | null) =>
    list(answer.body.effective).find((one) => (one.category as unknown) === category)
  t.match(of('bids')?.channels, {
    push: { enabled: true, decidedBy: 'the person has category "bids" by push on while data.amount > 100' },
    email: { enabled: false, decidedBy: 'the default of category "bids" has email off' },
    sms: { enabled: false, decidedBy: "the tenant's default has sms off" },
    inbox: { enabled: true, decidedBy: 'nobody switched it off' },
  })
  t.match(of('codes')?.channels, { sms: { enabled: true, decidedBy: /critical/ } })
  t.equal(of(null)?.critical as unknown, false)
  t.match(await edge.call(users, 'GET /v1/users/nobody/preferences/effective'), { status: 404 })
})
