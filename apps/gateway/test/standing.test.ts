import { askSubject, STANDING_SUBJECT, type StandingAnswer, userId } from '@carillon/contracts'
import { ask } from '@carillon/jetstream'
import { sha256 } from '@carillon/service'
import { eventually } from '@carillon/testkit'
import t from 'tap'
import { text, useEdge } from './support.js'

/** How long an answer takes is not what is tested. */
const PATIENT = { timeoutMs: 30_000 }

t.test('realtime learns who may not be connected any more', async (t) => {
  const edge = await useEdge(t)
  const admin = await edge.key('acme', 'admin')
  const id = (name: string, tenant = 'acme') => userId(sha256, tenant, name)
  t.equal((await edge.call(admin, 'PUT /v1/users/ada', {})).status, 201)
  t.equal((await edge.call(admin, 'PUT /v1/users/ben', { status: 'suspended' })).status, 201)
  const fallen = async (tenant: string, users: string[]) =>
    ((await ask(edge.connection, askSubject('standing', tenant), { users }, PATIENT)) as StandingAnswer)
      .fallen
  t.same(await fallen('acme', [id('ada'), id('ben'), id('nobody stored yet')]), [id('ben')])
  await edge.call(admin, 'PUT /v1/users/ben', { status: 'active' })
  t.same(await fallen('acme', [id('ada'), id('ben')]), [])
  t.same(await fallen('nowhere', [id('ada')]), [id('ada')], 'everybody of a tenant that is not there')
  await t.rejects(
    ask(edge.connection, askSubject('standing', 'acme'), { users: ['x'] }, { timeoutMs: 300 }),
    { code: 'TIMEOUT' },
    'what is no question has no answer',
  )
})

t.test('of many tenants, realtime learns at once who may stay no longer', async (t) => {
  const edge = await useEdge(t)
  const [acme, globex] = [await edge.key('acme', 'admin'), await edge.key('globex', 'admin')]
  const id = (name: string, tenant = 'acme') => userId(sha256, tenant, name)
  const fallen = async (tenants: Record<string, string[]>) =>
    ((await ask(edge.connection, STANDING_SUBJECT, { tenants }, PATIENT)) as StandingAnswer).fallen
  for (const [key, name] of [
    [acme, 'ada'],
    [acme, 'ben'],
    [globex, 'ada'],
    [globex, 'cleo'],
  ] as const)
    t.equal((await edge.call(key, `PUT /v1/users/${name}`, {})).status, 201)
  const [acmesAda, globexAda, cleo] = [id('ada'), id('ada', 'globex'), id('cleo', 'globex')]
  await edge.call(globex, 'PUT /v1/users/cleo', { status: 'suspended' })
  t.equal((await edge.call(acme, 'DELETE /v1/users/ben')).status, 204)
  const everybody = {
    acme: [acmesAda, id('ben'), id('new')],
    globex: [globexAda, cleo],
    nowhere: [id('x', 'nowhere')],
  }
  t.same((await fallen(everybody)).toSorted(), [id('ben'), cleo, id('x', 'nowhere')].toSorted())
  t.same(
    await fallen({ acme: [cleo, globexAda], globex: [id('ben')] }),
    [],
    'each tenant sees its own people alone',
  )
  t.equal((await edge.call(acme, 'PUT /v1/users/ben', {})).status, 201)
  t.same(await fallen({ acme: [id('ben')] }), [], 'who is made again may come again')
  await t.rejects(
    ask(edge.connection, STANDING_SUBJECT, { tenants: { '*': [cleo] } }, { timeoutMs: 300 }),
    { code: 'TIMEOUT' },
    'what is no question has no answer',
  )
})

t.test('a deleted user signs in no more until they are made again, and one nobody stored does', async (t) => {
  const edge = await useEdge(t)
  const admin = await edge.key('acme', 'admin')
  const tokenOf = async (name: string) => {
    await edge.call(admin, `PUT /v1/users/${name}`, {})
    return text((await edge.call(admin, `POST /v1/users/${name}/token`, {})).body.token)
  }
  const unread = async (token: string) => (await edge.call(token, 'GET /v1/inbox/unread')).status
  const ada = await tokenOf('ada')
  t.equal(await unread(ada), 200)
  await edge.call(admin, 'DELETE /v1/users/ada')
  await eventually(async () => (await unread(ada)) === 401)
  await edge.call(admin, 'PUT /v1/users/ada', {})
  await eventually(async () => (await unread(ada)) === 200)
  const ben = await tokenOf('ben')
  await edge.owner.inTenant('acme', (tx) => tx.query({ text: `DELETE FROM users WHERE external_id = 'ben'` }))
  t.equal(await unread(ben), 200, 'whom the database has never seen')
})
