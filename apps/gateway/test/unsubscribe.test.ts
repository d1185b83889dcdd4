import { signUnsubscribeToken } from '@carillon/channels'
import { userId } from '@carillon/contracts'
import { sha256 } from '@carillon/service'
import t from 'tap'
import { useEdge } from './support.js'

const edge = await useEdge(t)
const admin = await edge.key('acme', 'admin')
await edge.key('globex', 'admin')
await edge.call(admin, 'PUT /v1/users/ada', {})
await edge.call(admin, 'PUT /v1/categories/offers', { name: 'Offers & more' })
await edge.call(admin, 'PUT /v1/categories/codes', { name: 'Codes', critical: true })

const ada = userId(sha256, 'acme', 'ada')
const token = (category: string | null, tenant = 'acme', user = ada) =>
  signUnsubscribeToken(edge.receiptKey, { tenant, userId: user, category })
const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
const ONE_CLICK = 'List-Unsubscribe=One-Click'
const preferences = async () =>
  (await edge.call(admin, 'GET /v1/users/ada/preferences')).body.preferences as unknown as object[]
const html = (answer: { page: string }) => answer.page

t.test('the page behind the link says what it ends, and asks', async (t) => {
  const page = await edge.call(undefined, `GET /v1/unsubscribe/${token('offers')}`)
  t.equal(page.status, 200)
  t.match(html(page), /“Offers &amp; more”.*<form method="post"/s)
  t.match(String(page.headers['content-security-policy']), /^default-src 'none'; style-src 'sha256-/)
  t.same(await preferences(), [], 'looking changes nothing: mail scanners open links')
})

t.test('one click switches mails of the category off, a second one changes nothing', async (t) => {
  for (let click = 0; click < 2; click++) {
    const answer = await edge.call(undefined, `POST /v1/unsubscribe/${token('offers')}`, ONE_CLICK, FORM)
    t.equal(answer.status, 200)
    t.match(html(answer), /Unsubscribed/)
  }
  t.match(await preferences(), [{ category: 'offers', channel: 'email', enabled: false }])
  const facts = await edge.stored('AUDIT', 'aud.preferences.unsubscribed.acme')
  t.equal(facts.length, 1, 'the trail tells of it once')
  t.match(JSON.parse(facts[0]?.body ?? '{}'), { actor: { id: ada }, details: { category: 'offers' } })
})

t.test('and the way back is on the page that follows', async (t) => {
  t.match(
    html(await edge.call(undefined, `POST /v1/unsubscribe/${token('offers')}/undo`, '', FORM)),
    /on again/,
  )
  t.match(await preferences(), [{ category: 'offers', channel: 'email', enabled: true }])
  t.equal((await edge.stored('AUDIT', 'aud.preferences.resubscribed.acme')).length, 1)
})

t.test('without a category every mail ends', async (t) => {
  t.equal((await edge.call(undefined, `POST /v1/unsubscribe/${token(null)}`, ONE_CLICK, FORM)).status, 200)
  t.match(await preferences(), [{ category: null, channel: 'email', enabled: false }, { category: 'offers' }])
})

t.test("what is critical can't be switched off, and the page says so", async (t) => {
  const link = token('codes')
  t.match(html(await edge.call(undefined, `GET /v1/unsubscribe/${link}`)), /can’t be switched off/)
  const answer = await edge.call(undefined, `POST /v1/unsubscribe/${link}`, ONE_CLICK, FORM)
  t.match(html(answer), /can’t be switched off/, 'also to whom asks without looking')
  t.notMatch(html(answer), /<form/)
  t.notMatch(JSON.stringify(await preferences()), /codes/)
})

t.test('a link that we did not sign leads nowhere', async (t) => {
  const good = token('offers')
  // not the last character: some of its bits may mean nothing
  const forged = `${good.slice(0, -3)}${good.at(-3) === 'x' ? 'y' : 'x'}${good.slice(-2)}`
  const bad = [forged, good.slice(0, 20), 'x', token('offers', 'globex')]
  for (const link of bad) {
    t.equal((await edge.call(undefined, `GET /v1/unsubscribe/${link}`)).body.code as unknown, 'NOT_FOUND')
    const page = await edge.call(undefined, `GET /v1/unsubscribe/${link}`, undefined, {
      accept: 'text/html,*/*',
    })
    t.equal(page.status, 404)
    t.match(html(page), /leads nowhere/, 'people read a page')
    t.equal((await edge.call(undefined, `POST /v1/unsubscribe/${link}`, ONE_CLICK, FORM)).status, 404)
  }
})

t.test('a link is found however long the names in it are', async (t) => {
  const long = 'c'.repeat(64)
  await edge.call(admin, `PUT /v1/categories/${long}`, { name: 'Long' })
  t.equal((await edge.call(undefined, `GET /v1/unsubscribe/${token(long)}`)).status, 200)
})

t.test('mail programs may send a multipart form or nothing at all; other bodies are refused', async (t) => {
  await edge.call(admin, 'PUT /v1/users/ada/preferences', { preferences: [] })
  const off = [{ category: 'offers', channel: 'email', enabled: false }]
  const parts = [
    '--b',
    'content-disposition: form-data; name="List-Unsubscribe"',
    '',
    'One-Click',
    '--b--',
    '',
  ]
  const multipart = { 'content-type': 'multipart/form-data; boundary=b' }
  const line = `POST /v1/unsubscribe/${token('offers')}`
  t.equal((await edge.call(undefined, line, parts.join('\r\n'), multipart)).status, 200)
  t.match(await preferences(), off)
  await edge.call(undefined, `${line}/undo`)
  t.equal((await edge.call(undefined, line)).status, 200)
  t.match(await preferences(), off)
  t.equal((await edge.call(undefined, line, {})).status, 415)
  t.equal(
    (await edge.call(admin, 'POST /v1/keys', ONE_CLICK, FORM)).status,
    415,
    'no other call takes a form',
  )
})

t.test('every button leads where the next page is, also under a path of a proxy', async (t) => {
  const link = token('offers')
  const pages = [
    { line: `GET /v1/unsubscribe/${link}`, says: /Unsubscribed/, next: `/v1/unsubscribe/${link}/undo` },
    { line: `POST /v1/unsubscribe/${link}/undo`, says: /on again/, next: `/v1/unsubscribe/${link}` },
    { line: `GET /v1/unsubscribe/${link}`, says: /Unsubscribe\?/, next: `/v1/unsubscribe/${link}` },
    { line: `POST /v1/unsubscribe/${link}`, says: /Unsubscribed/, next: `/v1/unsubscribe/${link}/undo` },
  ]
  for (const { line, says, next } of pages) {
    const page = html(await edge.call(undefined, line))
    t.match(page, says, line)
    const action = /action="([^"]+)"/.exec(page)?.[1] ?? ''
    t.equal(new URL(action, `https://bells.example/under${line.split(' ')[1]}`).pathname, `/under${next}`)
  }
})

t.test('a condition that a person set is taken off by one click', async (t) => {
  const put = { preferences: [{ category: 'offers', channel: 'email', enabled: false, if: 'data.n > 1' }] }
  await edge.call(admin, 'PUT /v1/users/ada/preferences', put)
  const link = `/v1/unsubscribe/${token('offers')}`
  t.match(html(await edge.call(undefined, `GET ${link}`)), /Unsubscribe\?/)
  await edge.call(undefined, `POST ${link}`, ONE_CLICK, FORM)
  t.same(await preferences(), [{ category: 'offers', channel: 'email', enabled: false }])
})

t.test('a link whose reader was deleted leads nowhere', async (t) => {
  await edge.call(admin, 'PUT /v1/users/bob', {})
  const link = token('offers', 'acme', userId(sha256, 'acme', 'bob'))
  t.equal((await edge.call(undefined, `GET /v1/unsubscribe/${link}`)).status, 200)
  await edge.call(admin, 'DELETE /v1/users/bob')
  t.equal((await edge.call(undefined, `POST /v1/unsubscribe/${link}`, ONE_CLICK, FORM)).status, 404)
})
