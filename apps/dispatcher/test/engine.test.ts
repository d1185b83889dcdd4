import { cancelRuns } from '@carillon/postgres'
import { eventually } from '@carillon/testkit'
import t from 'tap'
import { dispatched, type Mesh, passTime, TENANT, useMesh } from './support.js'

type Assertions = Pick<typeof t, 'equal' | 'ok' | 'same'>

interface RunRow {
  id: string
  workflow_key: string
  recipient: string
  state: string
  reason: string | null
  wake_at: Date | null
  digest_id: string | null
  content: Record<string, { title?: string; body?: string }> | null
  plan: { steps: { type: string; outcome: string; reason?: string; detail: string }[] }[]
}

const runs = (mesh: Mesh, where = 'true'): Promise<RunRow[]> =>
  mesh.rows<RunRow>(`SELECT * FROM runs WHERE ${where} ORDER BY id`)

/** Nothing waits any more. */
const settled = (mesh: Mesh): Promise<RunRow[]> =>
  eventually(async () => {
    const rows = await runs(mesh)
    const open = rows.some((run) => run.wake_at !== null || run.state === 'waiting')
    return rows.length > 0 && !open ? rows : undefined
  })

const steps = (run: RunRow | undefined) =>
  run?.plan.flatMap((pass) => pass.steps.map((step) => `${step.type} ${step.reason ?? step.outcome}`))

t.test('digests', async (t) => {
  const mesh = await useMesh(t)
  const summary = {
    to: 'data.to',
    content: {
      title: '{{ digest.count }} messages',
      body: '{% for m in digest.items %}{{ m.text }} {% endfor %}',
    },
  }
  await mesh.putWorkflow({
    ...summary,
    key: 'summary',
    on: 'chat.message.v1',
    steps: [{ digest: { window: '1h', key: 'data.room' } }, 'inbox', 'email'],
  })
  await mesh.putWorkflow({
    ...summary,
    key: 'hasty',
    on: 'chat.hasty.v1',
    steps: [{ digest: { window: '200ms', key: 'data.room' } }, 'inbox', 'email'],
  })
  await mesh.putWorkflow({
    key: 'full',
    on: 'chat.full.v1',
    to: 'data.to',
    content: { title: '{{ digest.count }}', body: 'x' },
    steps: [{ digest: { window: '1d', maxItems: 3 } }, 'inbox'],
  })
  await mesh.putWorkflow({
    key: 'flushed',
    on: 'chat.flushed.v1',
    to: 'data.to',
    content: { title: '{{ digest.count }}', body: 'x' },
    steps: [{ digest: { window: '1h', flushFirst: true } }, 'inbox'],
  })
  await mesh.putWorkflow({
    key: 'twice',
    on: 'chat.twice.v1',
    to: 'data.to',
    content: { title: '{{ digest.count }}', body: 'x' },
    steps: [{ wait: '50ms' }, { digest: { window: '200ms' } }, { digest: { window: '300ms' } }, 'inbox'],
  })
  await mesh.putWorkflow({
    key: 'followed',
    on: 'chat.followed.v1',
    to: 'data.to',
    content: { title: '{{ digest.count }}', body: 'x' },
    steps: [
      { digest: { window: '1h' } },
      'inbox',
      { wait: '100ms' },
      {
        email: {
          content: { title: 'Still {{ digest.count }}: {{ digest.first.n }} to {{ digest.last.n }}' },
        },
      },
    ],
  })
  for (const name of ['ada', 'bo', 'cleo', 'dana']) await mesh.putUser(name, { email: `${name}@example.com` })
  await mesh.startDispatcher({ CARILLON_DISPATCH_BATCH: '7' })
  await mesh.startDispatcher({ CARILLON_DISPATCH_BATCH: '5' })

  const messages = (type: string) =>
    Array.from({ length: 40 }, (_, index) => ({
      type,
      id: `${type}-${index}`,
      data: { to: index % 2 === 0 ? 'ada' : 'bo', room: 'r1', text: `t${index}` },
    }))
  /** Gives the digests, once nothing waits any more. */
  const toldOnce = async (t: Assertions, events: ReturnType<typeof messages>): Promise<RunRow[]> => {
    const all = await settled(mesh)
    const digests = all.filter((run) => run.state === 'completed')
    const items = all.filter((run) => run.state === 'digested')
    t.equal(items.length, events.length)
    t.ok(items.every((item) => digests.some((digest) => digest.id === item.digest_id)))
    const told = digests.flatMap((digest) => (digest.content?.inbox?.body ?? '').split(' '))
    t.same(
      told.sort(),
      events.map(({ data }) => data.text).sort(),
      'every item is told once, in exactly one digest',
    )
    const jobs = (await mesh.jobs('email')).filter(({ runId }) => digests.some(({ id }) => id === runId))
    t.same([...new Set(jobs.map(({ runId }) => runId))].sort(), digests.map(({ id }) => id).sort())
    t.equal(
      new Set(jobs.map(({ deliveryId }) => deliveryId)).size,
      digests.length,
      'a repeated event may repeat a job, which is only a hint',
    )
    return digests
  }

  await t.test(
    'what comes while a window is open goes into one digest, whoever handles it, each item once',
    async (t) => {
      const events = messages('chat.message.v1')
      // half of them published again, as a broker or a publisher may
      await mesh.publish(...events, ...events.slice(0, 20))
      await dispatched(mesh)
      await passTime(mesh)
      const digests = await toldOnce(t, events)
      t.same(digests.map((digest) => digest.recipient).sort(), ['ada', 'bo'])
      await mesh.rows('TRUNCATE runs')
    },
  )

  await t.test('nothing falls in between when one window closes and the next one opens', async (t) => {
    const events = messages('chat.hasty.v1')
    await mesh.publish(...events, ...events.slice(0, 20))
    await dispatched(mesh)
    await toldOnce(t, events)
    await mesh.rows('TRUNCATE runs')
  })

  await t.test('a digest that is full goes at once, and the next one begins', async (t) => {
    await mesh.publish(
      ...Array.from({ length: 7 }, (_, index) => ({
        type: 'chat.full.v1',
        id: `f${index}`,
        data: { to: 'cleo' },
      })),
    )
    await dispatched(mesh)
    const rows = await eventually(async () => {
      const done = await runs(mesh, `state = 'completed'`)
      return done.length === 2 ? done : undefined
    })
    t.same(
      rows.map((run) => run.content?.inbox?.title),
      ['3', '3'],
    )
    t.equal((await runs(mesh, `state = 'digested'`)).length, 7)
    t.match(await mesh.rows('SELECT items FROM open_digests WHERE digest_id IS NOT NULL'), [{ items: 1 }])
    await mesh.rows('TRUNCATE runs, open_digests')
  })

  await t.test('the first goes on at once when the window flushes it, the others together', async (t) => {
    const event = (index: number) => ({ type: 'chat.flushed.v1', id: `x${index}`, data: { to: 'dana' } })
    await mesh.publish(event(0))
    await dispatched(mesh)
    t.match(await runs(mesh), [{ state: 'completed', content: { inbox: { title: '1' } } }])
    await mesh.publish(event(1), event(2), event(3))
    await dispatched(mesh)
    await passTime(mesh)
    const all = await settled(mesh)
    const titles = all.filter((run) => run.state === 'completed').map((run) => run.content?.inbox?.title)
    t.same(titles.sort(), ['1', '3'])
    await mesh.rows('TRUNCATE runs, open_digests')
  })

  await t.test('what comes after a wait behind a digest still sees what it gathered', async (t) => {
    await mesh.publish(
      ...[1, 2, 3].map((n) => ({ type: 'chat.followed.v1', id: `z${n}`, data: { to: 'bo', n } })),
    )
    await dispatched(mesh)
    await passTime(mesh)
    const all = await settled(mesh)
    t.match(
      all.filter((run) => run.state === 'completed').map((run) => run.content?.['3']?.title),
      [/^Still 3: \d to \d$/],
    )
    await mesh.rows('TRUNCATE runs, open_digests')
  })

  await t.test('a wait and two digests in a row tell everything once', async (t) => {
    await mesh.publish(
      ...Array.from({ length: 9 }, (_, index) => ({
        type: 'chat.twice.v1',
        id: `w${index}`,
        data: { to: 'ada' },
      })),
    )
    await dispatched(mesh)
    const all = await settled(mesh)
    const told = all
      .filter((run) => run.state === 'completed')
      .map((run) => Number(run.content?.inbox?.title))
    t.equal(
      told.reduce((sum, count) => sum + count, 0),
      9,
    )
  })
})

t.test('cancels', async (t) => {
  const mesh = await useMesh(t)
  await mesh.putWorkflow({
    key: 'reminder',
    on: 'ride.booked.v1',
    to: 'data.to',
    cancelKey: 'data.ride',
    content: { title: 'T', body: 'x' },
    steps: ['inbox', 'email', { wait: '1h' }, 'push'],
  })
  await mesh.putWorkflow({
    key: 'called-off',
    on: 'ride.cancelled.v1',
    to: 'data.to',
    content: { title: 'T', body: 'x' },
    steps: [{ cancel: { workflow: 'reminder', key: 'data.ride' } }],
  })
  await mesh.putUser('ada', { email: 'ada@example.com' })
  await mesh.startDispatcher()
  const at = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString()
  const booked = (id: string, time?: string) => ({
    type: 'ride.booked.v1',
    id,
    data: { to: 'ada', ride: 'r1' },
    ...(time === undefined ? {} : { time }),
  })

  await t.test('a cancel ends what waits, and takes along what is still queued', async (t) => {
    await mesh.publish(booked('b1'))
    await dispatched(mesh)
    await mesh.publish({ type: 'ride.cancelled.v1', id: 'c1', data: { to: 'ada', ride: 'r1' } })
    const [run] = await eventually(async () => {
      const rows = await runs(mesh, `workflow_key = 'reminder'`)
      return rows[0]?.wake_at === null ? rows : undefined
    })
    t.same(steps(run), ['inbox deliver', 'email deliver', 'wait wait', 'push CANCELLED'])
    t.match(await mesh.rows('SELECT status, reason FROM deliveries'), [
      { status: 'withdrawn', reason: 'CANCELLED' },
    ])
  })

  await t.test('a cancel that overtook its trigger holds for it', async (t) => {
    await mesh.rows('TRUNCATE runs, deliveries, cancels')
    await mesh.publish({ type: 'ride.cancelled.v1', id: 'c2', data: { to: 'ada', ride: 'r1' }, time: at(0) })
    await dispatched(mesh)
    await mesh.publish(booked('b2', at(-5)))
    await dispatched(mesh)
    t.match(await runs(mesh, `workflow_key = 'reminder'`), [{ state: 'cancelled', reason: 'CANCELLED' }])
    t.same(await mesh.rows('SELECT id FROM deliveries'), [])
  })

  await t.test('what happens after a cancel begins anew', async (t) => {
    await mesh.publish(booked('b3', at(1)))
    await dispatched(mesh)
    t.match(await runs(mesh, `workflow_key = 'reminder' AND state = 'waiting'`), [{ recipient: 'ada' }])
  })

  await t.test('a cancel in the same batch as its trigger holds for it', async (t) => {
    await mesh.rows('TRUNCATE runs, deliveries, cancels')
    const cancelled = { type: 'ride.cancelled.v1', id: 'c4', data: { to: 'ada', ride: 'r1' }, time: at(0) }
    await mesh.publish(booked('b4', at(-1)), cancelled)
    const [run] = await eventually(async () => {
      const rows = await runs(mesh, `workflow_key = 'reminder'`)
      return rows[0]?.wake_at === null ? rows : undefined
    })
    t.ok(run?.plan.at(-1)?.steps.every((step) => step.reason === 'CANCELLED'))
  })

  await t.test('a cancel by hand says what it met', async (t) => {
    await mesh.rows('TRUNCATE runs, deliveries, cancels')
    await mesh.publish(booked('b5'))
    await dispatched(mesh)
    const cancel = { tenant: TENANT, workflowKey: 'reminder', key: 'r1', atMs: Date.now() }
    t.same(await mesh.database.inTransaction((tx) => cancelRuns(tx, [cancel])), { waiting: 1, complete: 0 })
    await settled(mesh)
    t.same(await mesh.database.inTransaction((tx) => cancelRuns(tx, [cancel])), { waiting: 0, complete: 1 })
    await settled(mesh)
    t.match(await mesh.rows('SELECT status, reason FROM deliveries'), [
      { status: 'withdrawn', reason: 'CANCELLED' },
    ])
  })
})

t.test('waits for events and for being seen', async (t) => {
  const mesh = await useMesh(t)
  await mesh.putWorkflow({
    key: 'unpaid',
    on: 'ride.completed.v1',
    to: 'data.to',
    content: { title: 'T', body: 'x' },
    steps: [
      { wait: { event: 'ride.paid.v1', key: 'data.ride', for: '1h' } },
      { branch: { if: 'run.event != null', then: ['inbox'], else: ['email'] } },
    ],
  })
  await mesh.putWorkflow({
    key: 'impatient',
    on: 'ride.hurry.v1',
    to: 'data.to',
    content: { title: 'T', body: 'x' },
    steps: [
      { wait: { event: 'ride.paid.v1', key: 'data.ride', for: '150ms' } },
      { branch: { if: 'run.woken == "event"', then: ['inbox'], else: ['email'] } },
    ],
  })
  await mesh.putWorkflow({
    key: 'look',
    on: 'ride.look.v1',
    to: 'data.to',
    content: { title: 'T', body: 'x' },
    steps: ['inbox', { wait: { seen: true, for: '1h' } }, { email: { if: 'run.seen' } }],
  })
  await mesh.putUser('ada', { email: 'ada@example.com' })
  await mesh.startDispatcher()
  await mesh.startDispatcher()
  const ride = (type: string, id: string, number: string) => ({ type, id, data: { to: 'ada', ride: number } })

  await t.test('the event wakes its run at once, and no other', async (t) => {
    await mesh.publish(ride('ride.completed.v1', 'a1', 'r1'), ride('ride.completed.v1', 'a2', 'r2'))
    await dispatched(mesh)
    await mesh.publish(ride('ride.paid.v1', 'p1', 'r1'))
    const [woken] = await eventually(async () => {
      const rows = await runs(mesh, `state = 'completed' AND wake_at IS NULL`)
      return rows.length > 0 ? rows : undefined
    })
    t.same(steps(woken), ['wait wait', 'branch pass', 'inbox deliver'])
    t.equal((await runs(mesh, `state = 'waiting'`)).length, 1)
    t.match(await mesh.rows('SELECT key FROM awaits'), [{ key: 'r2' }])
  })

  await t.test('trigger and event published together meet, whichever commits first', async () => {
    const rides = Array.from({ length: 60 }, (_, index) => `m${index}`)
    await mesh.publish(
      ...rides.flatMap((number, index) => {
        const pair = [
          ride('ride.completed.v1', `t${number}`, number),
          {
            ...ride('ride.paid.v1', `q${number}`, number),
            lane: index % 3 === 0 ? ('high' as const) : ('normal' as const),
          },
        ]
        return pair
      }),
    )
    await dispatched(mesh)
    await eventually(async () => {
      const left = await runs(mesh, `workflow_key = 'unpaid' AND state = 'waiting'`)
      // in another lane the payment may be first seen before the ride: then it doesn't count
      const met = await mesh.rows(
        `SELECT FROM awaits a JOIN signals s USING (tenant_id, type, expression, key) WHERE s.first_seen >= a.since`,
      )
      return met.length === 0 && left.every((run) => run.wake_at !== null)
    })
  })

  await t.test('without the event the run goes on when the time is over', async (t) => {
    await mesh.publish(ride('ride.hurry.v1', 'h1', 'r9'))
    await dispatched(mesh)
    const [run] = await eventually(async () => {
      const rows = await runs(mesh, `workflow_key = 'impatient' AND wake_at IS NULL`)
      return rows.length > 0 ? rows : undefined
    })
    t.same(steps(run), ['wait wait', 'branch pass', 'email deliver'])
  })

  await t.test('being seen wakes a run that waits for it', async (t) => {
    await mesh.publish(ride('ride.look.v1', 'l1', 'r1'))
    await dispatched(mesh)
    await mesh.rows(
      `UPDATE runs SET seen_at = now(), wake_at = now() WHERE workflow_key = 'look' AND wake_on_seen`,
    )
    const [run] = await eventually(async () => {
      const rows = await runs(mesh, `workflow_key = 'look' AND wake_at IS NULL`)
      return rows.length > 0 ? rows : undefined
    })
    t.same(steps(run), ['inbox deliver', 'wait wait', 'email deliver'])
  })
})

t.test('quiet hours, throttles and caps', async (t) => {
  const mesh = await useMesh(t)
  const content = { title: 'T', body: 'x' }
  await mesh.putWorkflow({
    key: 'news',
    on: 'news.v1',
    to: 'data.to',
    content,
    steps: ['inbox', 'push', 'email'],
  })
  await mesh.putWorkflow({
    key: 'code',
    on: 'code.v1',
    lane: 'high',
    to: 'data.to',
    content,
    steps: ['push'],
  })
  await mesh.putWorkflow({
    key: 'rare',
    on: 'rare.v1',
    to: 'data.to',
    content,
    steps: [{ throttle: { count: 2, per: '360d' } }, 'inbox'],
  })
  await mesh.putWorkflow({
    key: 'gathered',
    on: 'gathered.v1',
    to: 'data.to',
    content,
    steps: [
      { throttle: { count: 3, per: '360d' } },
      { digest: { window: '1d', maxItems: 2, flushFirst: true } },
      'inbox',
    ],
  })
  const ada = await mesh.putUser('ada', { email: 'ada@example.com' })
  await mesh.putDevice(ada)
  const quiet = (from: string, to: string) =>
    mesh.rows('UPDATE users SET quiet_hours = $1 WHERE id = $2', [
      JSON.stringify({ windows: [{ from, to }] }),
      ada,
    ])
  await mesh.startDispatcher()

  await t.test('hold what rings until they are over, and let the rest and what is urgent pass', async (t) => {
    await quiet('00:00', '00:00')
    await mesh.publish(
      { type: 'news.v1', id: 'n1', data: { to: 'ada' } },
      { type: 'code.v1', id: 'k1', data: { to: 'ada' } },
    )
    await dispatched(mesh)
    const [news] = await runs(mesh, `workflow_key = 'news'`)
    t.same(steps(news), ['inbox deliver', 'push QUIET_HOURS', 'email deliver'])
    t.equal(news?.state, 'waiting')
    t.equal((await mesh.jobs('push', 'high')).length, 1)
    t.equal((await mesh.jobs('push')).length, 0)
    await mesh.rows('UPDATE users SET quiet_hours = NULL')
    await mesh.rows(
      `UPDATE runs SET wake_at = now(), held = '[{"step":1,"at":0}]' WHERE workflow_key = 'news'`,
    )
    await eventually(async () => (await mesh.jobs('push')).length === 1)
    const [later] = await settled(mesh)
    t.equal(later?.state, 'completed')
  })

  await t.test('a throttle counts once what goes on from a digest at once', async (t) => {
    for (const id of ['g1', 'g2', 'g3', 'g4']) {
      await mesh.publish({ type: 'gathered.v1', id, data: { to: 'ada' } })
      await dispatched(mesh)
    }
    const throttled = await mesh.rows(
      `SELECT FROM runs WHERE workflow_key = 'gathered' AND reason = 'THROTTLED'`,
    )
    t.equal(throttled.length, 1, 'three of four pass, whether they come together or one by one')
  })

  await t.test('a throttle lets so many through, under any number of dispatchers', async (t) => {
    await mesh.startDispatcher()
    await mesh.publish(
      ...Array.from({ length: 25 }, (_, index) => ({
        type: 'rare.v1',
        id: `r${index}`,
        data: { to: 'ada' },
      })),
    )
    await dispatched(mesh)
    const rare = await runs(mesh, `workflow_key = 'rare'`)
    t.equal(rare.filter((run) => run.state === 'completed').length, 2)
    t.equal(rare.filter((run) => run.reason === 'THROTTLED').length, 23)
  })

  await t.test("a tenant's cap counts everything that rings, and leaves the rest to the inbox", async (t) => {
    await mesh.rows(
      `UPDATE tenants SET caps = '[{"count": 3, "per": "360d", "channels": ["push"]}]', epoch = epoch + 1`,
    )
    await mesh.rows('TRUNCATE runs, deliveries, frequency_counters')
    await mesh.publish(
      ...Array.from({ length: 10 }, (_, index) => ({
        type: 'news.v1',
        id: `c${index}`,
        data: { to: 'ada' },
      })),
    )
    await dispatched(mesh)
    const news = await runs(mesh)
    const capped = news.filter((run) => steps(run)?.includes('push FREQUENCY_CAPPED'))
    t.equal(capped.length, 7)
    t.ok(capped.every((run) => steps(run)?.includes('email deliver')))
    t.match(await mesh.rows('SELECT count FROM frequency_counters'), [{ count: 3 }])
  })
})
