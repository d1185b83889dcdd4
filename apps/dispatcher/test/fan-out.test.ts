import { userId } from '@carillon/contracts'
import { sha256 } from '@carillon/service'
import { eventually } from '@carillon/testkit'
import t from 'tap'
import { allHandled, finished, names, outcome, people, putPeople, told, workflow } from './audiences.js'
import { TENANT, useMesh } from './support.js'

t.test('an audience over the limit is told in chunks', async (t) => {
  const mesh = await useMesh(t)
  const vienna = people('vienna', 1_900, { topics: ['city.vienna'], attributes: { tier: 1 } })
  const gold = people('gold', 700, { topics: ['city.vienna.first', 'city'], attributes: { tier: 2 } })
  const graz = people('graz', 30, { topics: ['city.graz'] })
  const both = people('both', 50, { topics: ['city.vienna'], roles: ['driver'] })
  const drivers = people('driver', 60, { roles: ['driver'] })
  const suspended = people('gone', 20, { topics: ['city.vienna'], roles: ['driver'], status: 'suspended' })
  await putPeople(mesh, [...vienna, ...gold, ...graz, ...both, ...drivers, ...suspended])
  await mesh.putWorkflow(workflow({ exclude: 'data.actor' }))
  await mesh.putWorkflow({
    ...workflow(),
    key: 'gold',
    on: 'gold.v1',
    to: { segment: 'user.attributes.tier > 1 && data.open' },
  })
  await mesh.putWorkflow({ ...workflow(), key: 'all', on: 'all.v1', to: { everyone: true } })
  await mesh.startDispatcher()
  let fanouts = 0

  await t.test('by topic and role, each person once, the actor and the suspended left out', async (t) => {
    const to = [{ topic: 'city.vienna' }, { role: 'driver' }, 'vienna7', 'graz3']
    await mesh.publish({ type: 'a.b.v1', id: 'topic', data: { to, actor: 'both3' } })
    await finished(mesh, ++fanouts)
    const expected = [...vienna, ...gold, ...both, ...drivers, { name: 'graz3' }].filter(
      ({ name }) => name !== 'both3',
    )
    t.same(await told(mesh, 'topic'), names(expected))
    t.match(await outcome(mesh, 'topic'), [
      { workflow: 'news', matched: true, fanout: { chunks: Number, estimated: Number } },
    ])
    const ada = userId(sha256, TENANT, 'both4')
    await allHandled(mesh)
    t.equal((await mesh.frames(ada)).length, 1)
  })
  await t.test('a whole topic reaches its parts, and a part what it belongs to', async (t) => {
    await mesh.publish({ type: 'a.b.v1', id: 'whole', data: { to: { topic: 'city' } } })
    await finished(mesh, ++fanouts)
    t.same(await told(mesh, 'whole'), names([...vienna, ...gold, ...graz, ...both]))
    // gold hears the whole city, and so its part
    await mesh.publish({ type: 'a.b.v1', id: 'graz', data: { to: { topic: 'city.graz' } } })
    await finished(mesh, ++fanouts)
    t.same(await told(mesh, 'graz'), names([...graz, ...gold]))
  })
  await t.test('by segment, judged with the event and the person', async (t) => {
    await mesh.publish({ type: 'gold.v1', id: 'closed', data: { open: false } })
    await mesh.publish({ type: 'gold.v1', id: 'open', data: { open: true } })
    fanouts += 2
    await finished(mesh, fanouts)
    t.same(await told(mesh, 'open'), names(gold))
    t.same(await told(mesh, 'closed'), [])
  })
  await t.test('everyone', async (t) => {
    await mesh.publish({ type: 'all.v1', id: 'all' })
    await finished(mesh, ++fanouts)
    t.same(await told(mesh, 'all'), names([...vienna, ...gold, ...graz, ...both, ...drivers]))
  })
  await t.test('a list in the payload, with people nobody knew', async (t) => {
    const to = Array.from({ length: 1_200 }, (_, index) => ({
      id: `new${index}`,
      email: `new${index}@example.com`,
    }))
    await mesh.publish({ type: 'a.b.v1', id: 'list', data: { to: [...to, 'new5', 'vienna1'] } })
    await finished(mesh, ++fanouts)
    t.same(await told(mesh, 'list'), [...to.map(({ id }) => id), 'vienna1'].sort())
    t.match(await mesh.rows(`SELECT count(*)::int AS n FROM users WHERE email LIKE 'new%'`), [{ n: 1_200 }])
  })
  await t.test('a small audience is told with its event', async (t) => {
    await mesh.publish({
      type: 'a.b.v1',
      id: 'few',
      data: { to: [{ role: 'driver' }, { topic: 'nothing' }] },
    })
    await eventually(async () => (await told(mesh, 'few')).length > 0)
    t.same(await told(mesh, 'few'), names([...both, ...drivers]))
    t.match(await outcome(mesh, 'few'), [{ workflow: 'news', matched: true, recipients: 110 }])
    t.match(await mesh.rows('SELECT count(*)::int AS n FROM fanouts'), [{ n: fanouts }])
  })
  await t.test('each chunk says how many it told, and together they told everybody once', async (t) => {
    const rows = await mesh.rows<{ runs: number; told: number; chunks: number; done: number }>(
      `SELECT f.chunks, count(*)::int AS done, sum(c.runs)::int AS runs,
         (SELECT count(*)::int FROM runs r WHERE r.event_id = f.event_id AND r.workflow_key = f.workflow_key) AS told
       FROM fanouts f JOIN fanout_chunks c USING (event_id, workflow_key) GROUP BY f.event_id, f.workflow_key`,
    )
    t.equal(rows.length, fanouts)
    for (const row of rows) {
      t.equal(row.done, row.chunks)
      t.equal(row.runs, row.told)
    }
  })
})
