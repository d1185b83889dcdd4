import { createOnline, createPresence, openRedis } from '@carillon/redis'
import { eventually, useRedis } from '@carillon/testkit'
import t from 'tap'
import { dispatched, TENANT, useMesh } from './support.js'

interface Row {
  recipient: string
  steps: { type: string; outcome: string; reason?: string; detail: string }[]
}

t.test('who holds a realtime connection is left alone by steps that say so', async (t) => {
  const [mesh, server] = [await useMesh(t), await useRedis(t)]
  const redis = await openRedis({ url: server.url, name: 'dispatcher', commandTimeoutMs: 10_000 })
  const edge = await openRedis({ url: server.url, name: 'realtime', commandTimeoutMs: 10_000 })
  const presence = createPresence(edge, {
    node: 'realtime',
    tickMs: 20,
    onChanges: () => undefined,
    onFailure: (error) => {
      throw error
    },
  })
  t.teardown(async () => {
    await presence[Symbol.asyncDispose]()
    await Promise.all([redis.close(), edge.close()])
  })
  const content = { title: 'T', body: 'x' }
  const to = 'data.users'
  await mesh.putWorkflow({ key: 'plain', on: 'plain.v1', to, content, steps: ['inbox', 'push'] })
  await mesh.putWorkflow({
    key: 'discreet',
    on: 'discreet.v1',
    to,
    content,
    steps: ['inbox', { push: { unlessOnline: true } }, 'email', { sms: { unlessOnline: true } }],
  })
  await mesh.putWorkflow({
    key: 'later',
    on: 'later.v1',
    to,
    content,
    steps: [{ wait: { event: 'arrived.v1', for: '1h' } }, { push: { unlessOnline: true } }],
  })
  const ids = new Map<string, string>()
  for (const name of ['ada', 'ben']) {
    const id = await mesh.putUser(name, { email: `${name}@example.com` })
    await mesh.putDevice(id)
    ids.set(name, id)
  }
  const users = [...ids.keys()]
  await mesh.startDispatcher({}, redis)
  const rowsOf = async (event: string): Promise<Row[]> => {
    const rows = await mesh.rows<{ recipient: string; plan: Pick<Row, 'steps'>[] }>(
      `SELECT recipient, plan FROM runs WHERE wake_at IS NULL
          AND event_id IN (SELECT id FROM events WHERE event_id = $1) ORDER BY recipient`,
      [event],
    )
    return rows.map(({ recipient, plan }) => ({ recipient, steps: plan.flatMap(({ steps }) => steps) }))
  }
  const told = ({ steps }: Row) =>
    steps.map(({ type, outcome, reason }) => [type, outcome, reason].filter(Boolean).join(' '))

  const { online } = createOnline(edge)
  const isOnline = async (name: string) =>
    (await online([{ tenant: TENANT, id: ids.get(name) as string }])).size === 1
  /** The last thing that the dispatcher's own connection was used for. */
  const lastAsked = async () => {
    const clients = await edge.run((client) => client.client('LIST'))
    return /name=dispatcher .*? cmd=(\S+)/.exec(String(clients))?.[1]
  }
  presence.connected(TENANT, ids.get('ada') as string)
  await eventually(() => isOnline('ada'))
  await eventually(() => redis.up)

  await t.test('Redis is asked for no other workflow', async (t) => {
    await mesh.publish({ type: 'plain.v1', id: 'e0', data: { users } })
    await dispatched(mesh)
    t.equal((await rowsOf('e0')).length, 2)
    t.notMatch(await lastAsked(), /eval/)
  })

  await t.test('and nobody else is', async (t) => {
    await mesh.publish({ type: 'discreet.v1', id: 'e1', data: { users } })
    await dispatched(mesh)
    const [ada, ben] = await rowsOf('e1')
    t.same(told(ada as Row), ['inbox deliver', 'push skip ONLINE', 'email deliver', 'sms skip ONLINE'])
    t.match(ada?.steps[1]?.detail, /^they were looking at the app at 2/)
    t.same(told(ben as Row), ['inbox deliver', 'push deliver', 'email deliver', 'sms skip NO_ADDRESS'])
    t.match(await lastAsked(), /eval/)
  })

  await t.test('as it is when the step comes, not when the run began', async (t) => {
    await mesh.publish({ type: 'later.v1', id: 'e2', data: { users } })
    await dispatched(mesh)
    presence.gone(TENANT, ids.get('ada') as string)
    presence.connected(TENANT, ids.get('ben') as string)
    await eventually(async () => (await isOnline('ben')) && !(await isOnline('ada')))
    await mesh.publish({ type: 'arrived.v1', id: 'e3', data: { users } })
    const [ada, ben] = await eventually(async () => {
      const rows = await rowsOf('e2')
      return rows.length === 2 && rows
    })
    t.same(told(ada as Row), ['wait wait', 'push deliver'])
    t.same(told(ben as Row), ['wait wait', 'push skip ONLINE'])
  })

  await t.test('with Redis away everybody is told', async (t) => {
    await server.kill('SIGKILL')
    await eventually(() => !redis.up)
    await mesh.publish({ type: 'discreet.v1', id: 'e4', data: { users } })
    await dispatched(mesh)
    for (const row of await rowsOf('e4'))
      t.same(told(row), ['inbox deliver', 'push deliver', 'email deliver', 'sms skip NO_ADDRESS'])
  })
})
