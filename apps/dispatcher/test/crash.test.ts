import { useNodeProcess } from '@carillon/testkit'
import t from 'tap'
import { dispatched, type Mesh, useMesh } from './support.js'

const MAIN = new URL('../src/main.js', import.meta.url).pathname

type Scope = Parameters<typeof useNodeProcess>[0]

function startProcess(t: Scope, mesh: Mesh, failpoint?: string) {
  return useNodeProcess(t, {
    script: MAIN,
    ready: /process\.started/,
    env: {
      NATS_URL: mesh.natsUrl,
      DATABASE_WORKER_URL: mesh.workerUrl,
      CARILLON_ENVIRONMENT: 'development',
      CARILLON_WAKE_EVERY_MS: '50',
      ...(failpoint === undefined ? {} : { CARILLON_FAILPOINT: failpoint }),
    },
  })
}

for (const place of ['before-commit', 'after-commit', 'after-publish']) {
  t.test(`killed ${place}, with a cap of one, the delivery still goes exactly once`, async (t) => {
    // what the dead process held comes again after a second, not after the thirty of production
    const mesh = await useMesh(t, 'defaults: { consumer: { ack_wait: 1s } }')
    await mesh.putWorkflow({
      key: 'capped',
      on: 'a.b.v1',
      to: 'data.user',
      cap: { count: 1, per: '360d' },
      content: { title: 'Once', body: 'x' },
      steps: ['inbox', 'push'],
    })
    const ada = await mesh.putUser('ada')
    await mesh.putDevice(ada)
    const doomed = await startProcess(t, mesh, `dispatcher.${place}:1`)
    await mesh.publish({ type: 'a.b.v1', id: 'first', data: { user: 'ada' } })
    t.match(await doomed.exited, { signal: 'SIGKILL' })
    t.equal((await mesh.rows('SELECT id FROM runs')).length, place === 'before-commit' ? 0 : 1)

    await startProcess(t, mesh)
    await dispatched(mesh)
    // a second event finds the cap used up by the first one, which counted once
    await mesh.publish({ type: 'a.b.v1', id: 'second', data: { user: 'ada' } })
    await dispatched(mesh)

    const deliveries = await mesh.rows<{ id: string }>('SELECT id FROM deliveries')
    t.equal(deliveries.length, 1, 'one delivery row')
    const jobs = await mesh.jobs('push')
    t.same([...new Set(jobs.map((job) => job.deliveryId))], [deliveries[0]?.id], 'every job names that row')
    t.equal((await mesh.frames(ada)).length, 2, 'one frame for each notification')
    t.match(
      await mesh.rows('SELECT count FROM frequency_counters'),
      [{ count: 1 }],
      'what was capped does not count',
    )
    t.match(
      await mesh.rows(
        `SELECT r.plan FROM runs r JOIN events e ON e.id = r.event_id WHERE e.event_id = 'second'`,
      ),
      [
        {
          plan: [
            {
              steps: [
                { type: 'inbox', outcome: 'deliver' },
                { type: 'push', outcome: 'skip', reason: 'FREQUENCY_CAPPED' },
              ],
            },
          ],
        },
      ],
    )
  })
}
