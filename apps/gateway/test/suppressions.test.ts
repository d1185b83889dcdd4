import { suppress } from '@carillon/postgres'
import t from 'tap'
import { list, text, useEdge } from './support.js'

const edge = await useEdge(t)
const support = await edge.key('acme', 'users:write')
const reader = await edge.key('acme', 'users:read')
const stranger = await edge.key('globex', 'admin')
const path = (kind: string, address: string) => `/v1/suppressions/${kind}/${encodeURIComponent(address)}`
const page = async (query: string, key = support) => {
  const { body } = await edge.call(key, `GET /v1/suppressions${query}`)
  return { addresses: list(body.suppressions).map((row) => text(row.address)), next: body.next }
}
const suppressAll = (rows: Parameters<typeof suppress>[1]) =>
  edge.owner.inTenant('acme', (tx) => suppress(tx, rows))

t.test('an address is suppressed by hand, whatever its case, and taken off again', async (t) => {
  const put = await edge.call(support, `PUT ${path('email', ' Ada@Example.COM')}`, {
    detail: 'asked by telephone',
  })
  t.match(put, {
    status: 201,
    body: {
      kind: 'email',
      address: 'ada@example.com',
      reason: 'operator',
      detail: 'asked by telephone',
      since: String,
    },
  })
  t.equal((await edge.call(support, `PUT ${path('email', 'ada@example.com')}`, {})).status, 200)
  t.match(await edge.call(support, `PUT ${path('phone', '+43 660 123 45 67')}`, {}), {
    body: { address: '+436601234567' },
  })
  const hook = 'https://Hooks.example/In?Key=A'
  t.match(await edge.call(support, `PUT ${path('webhook', hook)}`, {}), { body: { address: hook } })
  t.same((await page('?address=ADA@example.com')).addresses, ['ada@example.com'])
  t.same((await page('?kind=webhook')).addresses, [hook])
  t.equal((await edge.call(support, `DELETE ${path('email', 'ADA@EXAMPLE.com')}`)).status, 204)
  t.equal((await edge.call(support, `DELETE ${path('email', 'ada@example.com')}`)).status, 404)
  for (const [kind, address] of [
    ['email', 'nobody'],
    ['phone', '12'],
    ['webhook', 'somewhere'],
    ['fax', '+43660123'],
  ] as const) {
    t.equal((await edge.call(support, `PUT ${path(kind, address)}`, {})).status, 400, `${kind} ${address}`)
  }
})

t.test('workers suppress many at once, and the first reason stays', async (t) => {
  const row = (address: string, reason: 'bounced' | 'complained') =>
    ({ tenant: 'acme', kind: 'email', address, reason, detail: `"${reason}\\` }) as const
  const rows = [
    row('B@x.example', 'bounced'),
    row('b@X.example', 'complained'),
    row('a@x.example', 'bounced'),
  ]
  t.equal(await suppressAll(rows), 2)
  t.equal(await suppressAll(rows), 0)
  t.equal(await suppressAll([]), 0)
  t.match((await edge.call(support, 'GET /v1/suppressions?address=b@x.example')).body.suppressions, [
    { reason: 'bounced', detail: '"bounced\\' },
  ])
})

t.test('pages come in one order and end', async (t) => {
  const first = await page('?limit=2')
  const second = await page(`?limit=2&after=${encodeURIComponent(text(first.next))}`)
  const third = await page(`?limit=2&after=${encodeURIComponent(text(second.next))}`)
  t.same(
    [...first.addresses, ...second.addresses, ...third.addresses],
    ['a@x.example', 'b@x.example', '+436601234567', 'https://Hooks.example/In?Key=A'],
  )
  t.equal(third.next, null)
})

t.test('only who may change people may change this, and nobody sees another tenant', async (t) => {
  t.equal((await edge.call(reader, `PUT ${path('email', 'c@x.example')}`, {})).status, 403)
  t.equal((await page('', reader)).addresses.length, 4)
  t.same((await page('', stranger)).addresses, [])
  t.equal((await edge.call(stranger, `DELETE ${path('email', 'a@x.example')}`)).status, 404)
  const facts = [
    ...(await edge.stored('AUDIT', 'aud.suppressions.put.acme')),
    ...(await edge.stored('AUDIT', 'aud.suppressions.deleted.acme')),
  ].map(({ body }) => body)
  t.equal(facts.length, 5)
  t.notMatch(facts.join(), /ada@|6601234567|Key=A/i, 'the trail says which, not what')
  t.match(facts.join(), /a…@example\.com/i)
})
