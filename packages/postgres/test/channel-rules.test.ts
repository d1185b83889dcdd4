import type { ChannelRule } from '@carillon/contracts'
import t from 'tap'
import {
  deleteChannelRule,
  isDataError,
  listChannelRules,
  MAX_CHANNEL_RULES,
  putChannelRule,
  sqlState,
} from '../src/index.js'
import { startMigrated } from './postgres-server.js'

const { request, superuser } = await startMigrated(t)
const rule = (namespace: string, more: Partial<ChannelRule> = {}): ChannelRule => ({
  namespace,
  authorise: false,
  allow: ['presence'],
  joins: true,
  schema: null,
  ...more,
})
const put = (tenant: string, given: ChannelRule, as = tenant) =>
  request.inTenant(as, (tx) => putChannelRule(tx, tenant, given))
const list = (tenant: string, as = tenant) => request.inTenant(as, (tx) => listChannelRules(tx, tenant))

t.test('a rule takes the place of the one before, and its schema comes back as it was written', async (t) => {
  const schema = { type: 'object', properties: { b: { const: 1 }, a: {} } }
  t.match(await put('acme', rule('ride')), { outcome: 'put', created: true })
  const changed = rule('ride', { authorise: true, allow: ['publish', 'history'], joins: false, schema })
  t.match(await put('acme', changed), { outcome: 'put', created: false, rule: changed })
  await put('acme', rule('chat'))
  const rules = await list('acme')
  t.same(
    rules.map(({ updatedAt: _, ...shown }) => shown),
    [rule('chat'), changed],
  )
  t.equal(JSON.stringify(rules[1]?.schema), JSON.stringify(schema), 'in its own order')
  t.equal(
    await request.inTenant('acme', (tx) => deleteChannelRule(tx, { tenant: 'acme', namespace: 'chat' })),
    true,
  )
  t.equal(
    await request.inTenant('acme', (tx) => deleteChannelRule(tx, { tenant: 'acme', namespace: 'chat' })),
    false,
  )
})

t.test("no tenant reads, changes, takes away or forges another's rules", async (t) => {
  t.same(await list('acme', 'globex'), [])
  t.same(await list('globex'), [])
  t.equal(await put('acme', rule('ride'), 'globex').catch(sqlState), '42501')
  await request.inTenant('globex', (tx) => deleteChannelRule(tx, { tenant: 'acme', namespace: 'ride' }))
  t.equal((await list('acme')).length, 1)
})

t.test('the database itself refuses namespaces and permissions that are none', async (t) => {
  for (const bad of [
    rule('a.b'),
    rule('*'),
    rule('a-b'),
    rule(''),
    rule('ok', { allow: ['fly' as 'publish'] }),
  ]) {
    const error = await put('acme', bad).catch((found: unknown) => found)
    t.ok(isDataError(error), bad.namespace)
  }
})

t.test('a tenant has as many rules as fit one message, also when writers meet', async (t) => {
  await superuser.query({
    text: `INSERT INTO channel_rules (tenant_id, namespace, authorise, allow, joins)
      SELECT 'globex', 'n' || n, false, '{}', true FROM generate_series(1, $1) AS n`,
    values: [MAX_CHANNEL_RULES - 1],
  })
  const outcomes = await Promise.all(['x', 'y', 'z'].map((namespace) => put('globex', rule(namespace))))
  t.same(outcomes.map(({ outcome }) => outcome).sort(), ['full', 'full', 'put'])
  t.match(
    await put('globex', rule('n1', { joins: false })),
    { outcome: 'put' },
    'one that is there may change',
  )
  t.equal((await list('globex')).length, MAX_CHANNEL_RULES)
})

t.test('the schemas of a tenant have a size together', async (t) => {
  const schema = { description: 'x'.repeat(60_000) }
  const outcomes: string[] = []
  for (let n = 0; n < 9; n++) outcomes.push((await put('acme', rule(`long${n}`, { schema }))).outcome)
  t.same(outcomes, [...Array(8).fill('put'), 'full'])
  t.match(await put('acme', rule('long9', { schema })), { outcome: 'full', what: 'bytes' })
  t.match(
    await put('acme', rule('long0', { schema })),
    { outcome: 'put' },
    'its own place is not counted twice',
  )
})
