import { askSubject, type StandingAnswer, userId } from '@carillon/contracts'
import { ask } from '@carillon/jetstream'
import { sha256 } from '@carillon/service'
import t from 'tap'
import { useEdge } from './support.js'

t.test('realtime learns who may not be connected any more', async (t) => {
  const edge = await useEdge(t)
  const admin = await edge.key('acme', 'admin')
  const id = (name: string, tenant = 'acme') => userId(sha256, tenant, name)
  t.equal((await edge.call(admin, 'PUT /v1/users/ada', {})).status, 201)
  t.equal((await edge.call(admin, 'PUT /v1/users/ben', { status: 'suspended' })).status, 201)
  const fallen = async (tenant: string, users: string[]) =>
    ((await ask(edge.connection, askSubject('standing', tenant), { users })) as StandingAnswer).fallen
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
