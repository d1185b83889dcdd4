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
  t.match(JSON.parse(facts[0]?.body ?? '{}'), { actor: { id: ada }, details: { category: 'offers' } })
})

t.test('and the way back is on the page that follows', async (t) => {
  t.match(
    html(await edge.call(undefined, `POST /v1/unsubscribe/${token('offers')}/undo`, '', FORM)),
    /on again/,
  )
  t.match(await preferences(), [{ category: 'offers', channel: 'email', enabled: true }])
})

t.test('without a category every mail ends', async (t) => {
  t.equal((await edge.call(undefined, `POST /v1/unsubscribe/${token(null)}`, ONE_CLICK, FORM)).status, 200)
  t.match(await preferences(), [{ category: null, channel: 'email', enabled: false }, { category: 'offers' }])
})

t.test("what is critical can't be switched off, and the page says so", async (t) => {
  const link = token('codes')
  t.match(html(await edge.call(undefined, `GET /v1/unsubscribe/${link}`)), /can’t be switched off/)
  await edge.call(undefined, `POST /v1/unsubscribe/${link}`, ONE_CLICK, FORM)
  t.notMatch(JSON.stringify(await preferences()), /codes/)
})

t.test('a link that we did not sign leads nowhere', async (t) => {
  const good = token('offers')
  const bad = [`${good.slice(0, -2)}xx`, good.slice(0, 20), 'x', token('offers', 'globex')]
  for (const link of bad) {
    t.equal((await edge.call(undefined, `GET /v1/unsubscribe/${link}`)).status, 404)
    t.equal((await edge.call(undefined, `POST /v1/unsubscribe/${link}`, ONE_CLICK, FORM)).status, 404)
  }
})
