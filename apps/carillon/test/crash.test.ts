import { setTimeout as sleep } from 'node:timers/promises'
import { eventSubject } from '@carillon/contracts'
import { eventually } from '@carillon/testkit'
import t from 'tap'
import { attempt, compare, createJournal, type Journal } from './journal.js'
import { readLive } from './live-reader.js'
import { PEOPLE, quiet, TENANT, useWorld, type World, wholeInbox } from './world.js'

const WORKFLOW = `
key: tick
on: load.tick.v1
to: data.user
content: { title: "Tick {{ data.n }}", body: "for {{ user.id }}" }
steps: [inbox, push, email]
`
const TYPE = 'load.tick.v1'

t.test('every process killed in mid-batch under load loses and doubles nothing', async (t) => {
  const world = await useWorld(t)
  await world.carillon.putWorkflow(WORKFLOW, 'tick')
  const { token } = await world.carillon.userToken('ada')
  const reader = readLive(t, world.url, token)
  await eventually(() => reader.connects > 0)
  await world.start('history,audit')
  let dispatcher = await world.start('dispatcher', { CARILLON_FAILPOINT: 'dispatcher.after-commit:6' })
  let delivery = await world.start('delivery', { CARILLON_FAILPOINT: 'delivery.after-send:6' })
  const load = startLoad(world)

  t.match(await dispatcher.exited, { signal: 'SIGKILL' }, 'a dispatcher dies between commit and publish')
  dispatcher = await world.start('dispatcher')
  t.match(await delivery.exited, { signal: 'SIGKILL' }, 'a worker dies between sending and writing it down')
  delivery = await world.start('delivery')
  reader.cut()
  await world.nats.kill()
  await sleep(300)
  await world.nats.restart()
  await handledSome(world)
  await Promise.all([dispatcher.kill(), delivery.kill()])
  await world.start('dispatcher')
  await world.start('delivery')
  await world.postgres.restart()
  await handledSome(world)
  await load.stop()
  await quiet(world)

  const { journal } = load
  t.comment(`${journal.attempted.size} attempted, ${journal.acknowledged.size} acknowledged`)
  for (const way of ['nats', 'http']) {
    const there = [...journal.acknowledged].filter((id) => id.startsWith(way)).length
    t.ok(there > 50, `${there} events were acknowledged by ${way}`)
  }
  const events = await world.rows<{ id: string }>('SELECT event_id AS id FROM events')
  const { lost, unexpected, doubled } = compare(
    journal,
    events.map(({ id }) => id),
  )
  t.same({ lost, unexpected, doubled }, { lost: [], unexpected: [], doubled: [] })
  t.same(await eventsWithout(world, 1), [], 'event × workflow × recipient is exactly one run')
  t.same(await runsWithout(world, 2), [], 'and each has its push and its mail, once')
  t.match(
    await world.rows(`SELECT status, count(*)::int AS count FROM deliveries GROUP BY 1`),
    [{ status: 'sent', count: 2 * events.length }],
    'every delivery has one status, and it is sent',
  )

  const attempts = await world.rows<{ id: string; unknown: number; open: number }>(
    `SELECT delivery_id AS id, count(*) FILTER (WHERE verdict IS NULL OR verdict = 'unknown')::int AS unknown,
       count(*) FILTER (WHERE finished_at IS NULL)::int AS open FROM attempts GROUP BY 1`,
  )
  t.same(
    attempts.filter(({ open }) => open > 0),
    [],
    'what nobody knows of an attempt is written down',
  )
  const allowed = new Map(attempts.map(({ id, unknown }) => [id, 1 + unknown]))
  const silent = attempts.filter(({ id }) => !world.rung.has(id))
  const often = [...world.rung].filter(([id, count]) => count > (allowed.get(id) ?? 0))
  t.same({ silent, often }, { silent: [], often: [] }, 'it rings once, and again only for an unknown attempt')
  const repeated = [...world.rung.values()].filter((count) => count > 1).length
  t.comment(`${repeated} of ${world.rung.size} deliveries rang twice after an unknown attempt`)

  const inbox = (await wholeInbox(world.url, token)).map(({ id }) => id)
  t.equal(new Set(inbox).size, inbox.length, 'the inbox shows none twice')
  const runs = await world.rows<{ id: string }>(`SELECT id FROM runs WHERE recipient = 'ada'`)
  t.same(inbox.toSorted(), runs.map(({ id }) => id).sort(), 'and all of them')
  await world.publisher.publish('EVENTS', tick('after-all', 0))
  await quiet(world)
  const [last = { id: '' }] = await world.rows<{ id: string }>(
    `SELECT r.id FROM runs r JOIN events e ON e.id = r.event_id WHERE e.event_id = 'after-all'`,
  )
  // frames come in order: with the last one all before it are shown
  await eventually(() => reader.shown.includes(last.id))
  t.equal(new Set(reader.shown).size, reader.shown.length, 'a browser is shown none twice')
  t.comment(`${reader.connects} connections, ${reader.resets} resets, ${reader.shown.length} shown`)
  if (reader.resets === 0) t.same([...reader.shown].sort(), [...inbox, last.id].sort(), 'and misses none')
  t.same(await world.deadLetters(), [])
})

function tick(id: string, n: number) {
  return {
    subject: eventSubject('normal', TENANT, TYPE),
    headers: { 'ce-specversion': '1.0', 'ce-id': id, 'ce-source': '/test', 'ce-type': TYPE },
    body: JSON.stringify({ user: PEOPLE[n % PEOPLE.length], n }),
  }
}

interface Load {
  journal: Journal
  stop(): Promise<void>
}

/** Twenty events a second straight to the broker and ten over HTTP, whatever happens. */
function startLoad(world: World): Load {
  const journal = createJournal()
  const stopping = new AbortController()
  const open = new Set<Promise<unknown>>()
  const send = (id: string, work: () => Promise<unknown>): void => {
    const sent: Promise<unknown> = attempt(journal, id, work).finally(() => open.delete(sent))
    open.add(sent)
  }
  const publish = (id: string, n: number) => world.publisher.publish('EVENTS', tick(id, n))
  const post = (id: string, n: number) => {
    const data = { user: PEOPLE[n % PEOPLE.length], n }
    const event = { specversion: '1.0', id, source: '/test', type: TYPE, data }
    return world.carillon.call('POST', '/v1/events', event, {
      'content-type': 'application/cloudevents+json',
    })
  }
  const run = async (): Promise<void> => {
    for (let n = 0; !stopping.signal.aborted; n += 3) {
      send(`nats-${n}`, () => publish(`nats-${n}`, n))
      send(`nats-${n + 1}`, () => publish(`nats-${n + 1}`, n + 1))
      send(`http-${n + 2}`, () => post(`http-${n + 2}`, n + 2))
      await sleep(100)
    }
  }
  const running = run()
  return {
    journal,
    async stop() {
      stopping.abort()
      await running
      await Promise.all(open)
    },
  }
}

/** Resolves once thirty more events were judged and thirty more deliveries sent than now. */
async function handledSome(world: World): Promise<void> {
  const count = async () => {
    const found = await world.rows<{ done: number; sent: number }>(
      `SELECT (SELECT count(*)::int FROM events) AS done, (SELECT count(*)::int FROM deliveries WHERE status = 'sent') AS sent`,
    )
    return found[0] ?? { done: 0, sent: 0 }
  }
  const before = await eventually(count, { timeoutMs: 60_000 })
  await eventually(
    async () => {
      const now = await count()
      return now.done >= before.done + 30 && now.sent >= before.sent + 30
    },
    { timeoutMs: 120_000, everyMs: 100 },
  )
}

async function eventsWithout(world: World, runs: number) {
  return world.rows(
    `SELECT e.event_id, count(r.id)::int AS runs FROM events e LEFT JOIN runs r ON r.event_id = e.id AND r.state = 'completed'
     GROUP BY 1 HAVING count(r.id) <> $1`,
    [runs],
  )
}

async function runsWithout(world: World, deliveries: number) {
  return world.rows(
    `SELECT r.id, count(d.id)::int AS deliveries FROM runs r LEFT JOIN deliveries d ON d.run_id = r.id
     GROUP BY 1 HAVING count(d.id) <> $1`,
    [deliveries],
  )
}
