import type { WorkflowDefinition } from '@carillon/contracts'
import { listShadowExamples, listShadowResults, putWorkflow } from '@carillon/postgres'
import { eventually } from '@carillon/testkit'
import t from 'tap'
import { dispatched, type Mesh, TENANT, useMesh } from './support.js'

const NEWS = {
  key: 'news',
  on: 'test.news.v1',
  to: 'data.to',
  content: { title: '{{ data.title }}', body: 'x' },
} as const
const TYPE = 'test.news.v1'

const shadow = (mesh: Mesh, definition: WorkflowDefinition): Promise<{ version: number }> =>
  mesh.owner.inTenant(TENANT, (tx) =>
    putWorkflow(tx, { tenant: TENANT, definition, as: 'shadow', awaits: [] }),
  )
const results = (mesh: Mesh) =>
  mesh.owner.inTenant(TENANT, (tx) => listShadowResults(tx, { tenant: TENANT, key: 'news' }))
const examples = (mesh: Mesh, version: number) =>
  mesh.owner.inTenant(TENANT, (tx) => listShadowExamples(tx, { tenant: TENANT, key: 'news', version }))
const count = async (mesh: Mesh, table: string): Promise<number> =>
  (await mesh.rows<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`))[0]?.n ?? -1
const publish = (mesh: Mesh, prefix: string, events: number) =>
  mesh.publish(
    ...Array.from({ length: events }, (_, number) => ({
      type: TYPE,
      id: `${prefix}-${number}`,
      data: { title: 'News', number, urgent: number % 3 === 0, to: number % 2 === 0 ? 'ada' : 'bob' },
    })),
  )

t.test('a shadow is judged on live events beside what is published, and sends nothing', async (t) => {
  const mesh = await useMesh(t)
  for (const name of ['ada', 'bob']) {
    const id = await mesh.putUser(name, { email: `${name}@example.com` })
    await mesh.putDevice(id)
  }
  await mesh.putWorkflow({ ...NEWS, steps: ['inbox', 'push'] })
  await mesh.startDispatcher()

  await t.test('without one nothing is added up', async (t) => {
    await publish(mesh, 'before', 2)
    await dispatched(mesh)
    t.equal(await count(mesh, 'runs'), 2)
    t.equal(await count(mesh, 'shadow_results'), 0)
  })

  const { version } = await shadow(mesh, {
    ...NEWS,
    if: 'data.number != 1.0',
    steps: ['inbox', { push: { if: 'data.urgent' } }, { wait: '1h' }, 'email'],
  })

  await t.test('what would come more and less is counted by channel, to the end of the runs', async (t) => {
    await publish(mesh, 'live', 30)
    await dispatched(mesh)
    const found = await eventually(async () => (await results(mesh))[0])
    t.equal(found.shadowVersion, version)
    t.equal(found.publishedVersion, 1)
    const by = new Map(found.channels.map((one) => [one.channel, one]))
    t.same(by.get('inbox'), { channel: 'inbox', same: 29, more: 0, less: 1 })
    t.same(by.get('push'), { channel: 'push', same: 10, more: 0, less: 20 })
    t.same(
      by.get('email'),
      { channel: 'email', same: 0, more: 29, less: 0 },
      'foreseen, though it would wait',
    )
  })

  await t.test('it has told nobody, waited for nothing and counted nothing', async (t) => {
    t.equal(await count(mesh, 'runs'), 32)
    t.equal((await mesh.jobs('email')).length, 0)
    t.equal(await count(mesh, `runs WHERE workflow_version <> 1 OR state = 'waiting'`), 0)
    t.equal((await mesh.jobs('push')).length, 32, 'exactly what is published has been sent')
  })

  await t.test('examples tell both sides, and there are never many', async (t) => {
    const kept = await examples(mesh, version)
    t.ok(kept.length > 0 && kept.length <= 20, `${kept.length}`)
    const one = kept.find(({ shadow: steps }) => JSON.stringify(steps).includes('CONDITION_FALSE'))
    t.match(one?.shadow, [
      { type: 'inbox', outcome: 'deliver' },
      { type: 'push', reason: 'CONDITION_FALSE' },
    ])
    t.match(one?.published, [{ type: 'inbox', outcome: 'deliver' }, { type: 'push' }])
  })

  await t.test('a redelivered event is not added up again', async (t) => {
    const before = JSON.stringify(await results(mesh))
    await publish(mesh, 'live', 30)
    await dispatched(mesh)
    t.equal(JSON.stringify(await results(mesh)), before)
  })

  await t.test('another shadow has results of its own, and gathers nothing', async (t) => {
    const next = await shadow(mesh, { ...NEWS, steps: [{ digest: { window: '1h' } }, 'inbox', 'email'] })
    await publish(mesh, 'digest', 2)
    await dispatched(mesh)
    const found = await eventually(async () =>
      (await results(mesh)).find((one) => one.shadowVersion === next.version),
    )
    const by = new Map(found.channels.map((one) => [one.channel, one]))
    t.equal(by.get('inbox')?.same, 2)
    t.equal(by.get('email')?.more, 2)
    t.equal(await count(mesh, 'open_digests'), 0)
  })

  await t.test('counters are read and left as they are', async (t) => {
    const capped = { ...NEWS, key: 'capped', on: 'test.capped.v1', steps: ['push' as const] }
    await mesh.putWorkflow({ ...capped, cap: { count: 1, per: '360d' } })
    await shadow(mesh, { ...capped, cap: { count: 2, per: '360d' } })
    for (const id of ['c-1', 'c-2', 'c-3']) {
      await mesh.publish({ type: 'test.capped.v1', id, data: { title: 'x', to: 'ada' } })
      await dispatched(mesh)
    }
    const [found] = await mesh.owner.inTenant(TENANT, (tx) =>
      listShadowResults(tx, { tenant: TENANT, key: 'capped' }),
    )
    t.same(found?.channels, [{ channel: 'push', same: 1, more: 2, less: 0 }])
    const [counter] = await mesh.rows<{ count: number }>(
      `SELECT count FROM frequency_counters WHERE scope = 'capped'`,
    )
    t.equal(counter?.count, 1)
  })

  await t.test('a text that a shadow can not render fails the shadow alone', async (t) => {
    const broken = await shadow(mesh, {
      ...NEWS,
      content: { title: '{{ data.missing }}', body: 'x' },
      steps: ['inbox'],
    })
    await publish(mesh, 'broken', 1)
    await dispatched(mesh)
    const found = await eventually(async () =>
      (await results(mesh)).find((one) => one.shadowVersion === broken.version),
    )
    t.match(
      found.channels.find(({ channel }) => channel === 'inbox'),
      { same: 0, less: 1 },
    )
    t.equal((await mesh.deadLetters()).length, 0)
  })
})
