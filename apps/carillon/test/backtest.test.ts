import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Channel } from '@carillon/contracts'
import { eventually, useFolder } from '@carillon/testkit'
import t from 'tap'
import type { Backtest } from '../src/backtest/run-backtest.js'
import type { Comparison } from '../src/backtest/tally.js'
import { runCli } from './support.js'
import { PEOPLE, useWorld, type World } from './world.js'

const EVENTS = 300

const workflow = (steps: string, more = '') => `key: news
on: [test.news.v1]
to: data.to
category: news
cap: { count: 40, per: 1d }
${more}
content: { title: "{{ data.title }}" }
steps: ${steps}
`
const PUBLISHED = workflow('[inbox, push]')
const DRAFT = workflow(
  '[inbox, { push: { if: data.urgent } }, { wait: 1h }, email]',
  'if: data.number != 7.0',
)

t.test('a draft is judged on what has happened and on what happens, beside what is published', async (t) => {
  const world = await useWorld(t)
  await world.start('dispatcher')
  const { carillon } = world
  await carillon.call('PUT', '/v1/categories/news', { name: 'News' })
  await carillon.putWorkflow(PUBLISHED, 'news')
  await carillon.call('PUT', '/v1/users/eve/preferences', {
    preferences: [{ category: 'news', channel: 'push', enabled: false }],
  })
  const env = { CARILLON_URL: world.url, CARILLON_API_KEY: await newKey(world) }
  const folder = await useFolder(t)
  await writeFile(join(folder, 'news.yaml'), DRAFT)
  const backtest = (...args: string[]) =>
    runCli(t, ['workflow', 'backtest', 'news.yaml', ...args], { cwd: folder, env })
  const began = Date.now()
  await carillon.publishAll(
    Array.from({ length: EVENTS }, (_, number) => ({
      id: `n-${number}`,
      type: 'test.news.v1',
      data: {
        number,
        title: `News ${number}`,
        urgent: number % 10 === 0,
        to: [PEOPLE[number % 3], 'nobody'],
      },
    })),
  )
  await carillon.publish({ id: 'other', type: 'test.other.v1', data: {} })
  const counted = () => world.rows<{ runs: number }>('SELECT count(*)::int AS runs FROM runs')
  await eventually(async () => (await counted())[0]?.runs === 2 * EVENTS, { timeoutMs: 120_000 })

  await t.test('the published side is what the mesh has really decided', async (t) => {
    const { code, stdout, stderr } = await backtest('--since', '1h', '--json')
    t.equal(code, 0, stderr)
    const result = JSON.parse(stdout) as Backtest & { published: number; note: string }
    t.equal(result.events, EVENTS, 'of the types that the workflow listens to')
    t.equal(result.published, 1)
    t.match(result.note, /today's preferences and devices/)
    const { comparison } = result
    const real = await decidedByMesh(world, 'news')
    compareSteps(t, comparison, real)
    t.ok(
      real.some(({ step }) => step === 'push skip FREQUENCY_CAPPED'),
      'a cap was reached',
    )
    t.ok(real.some(({ step }) => step === 'push skip UNSUBSCRIBED'))
    t.equal(comparison.runs.published, 2 * EVENTS)
    t.equal(comparison.runs.draft, 2 * (EVENTS - 1), 'the draft leaves one event out')
    t.equal(comparison.channels.push.draft, 20, 'ten urgent ones for each of two people')
    t.equal(comparison.waiting.draft, 3 * 100 - 1, 'mails would come in an hour')
    t.equal(comparison.less.people, 2, 'eve had no push before, and keeps her inbox')
    t.ok(comparison.examples.length > 0)
  })

  await t.test('throttles, digests and branches come out as in the mesh', async (t) => {
    const busy = `key: busy
on: test.busy.v1
to: data.to
content: { title: "{{ digest.count }} of {{ digest.total }}" }
steps:
  - throttle: { count: 17, per: 1d, key: data.room }
  - digest: { window: 1d, key: data.room, maxItems: 4, flushFirst: true }
  - inbox
  - branch: { if: run.count > 1, then: [push], else: [email] }
`
    await carillon.putWorkflow(busy, 'busy')
    await writeFile(join(folder, 'busy.yaml'), busy.replace('[push]', '[push, email]'))
    await carillon.publishAll(
      Array.from({ length: 120 }, (_, number) => ({
        id: `b-${number}`,
        type: 'test.busy.v1',
        data: { to: PEOPLE[number % 3], room: number % 2 },
      })),
    )
    // for each of three people and two rooms: four at once, three digests of four, one item in an open one, three too many
    const expected = ['email deliver 24', 'inbox deliver 42', 'push deliver 18']
    const real = await eventually(
      async () => {
        const rows = await decidedByMesh(world, 'busy')
        const delivered = rows.filter(({ step }) => step.endsWith('deliver'))
        return delivered.map(({ step, count }) => `${step} ${count}`).join() === expected.join()
          ? rows
          : undefined
      },
      { timeoutMs: 120_000 },
    )
    const args = ['workflow', 'backtest', 'busy.yaml', '--since', '1h', '--json']
    const { stdout } = await runCli(t, args, { cwd: folder, env })
    const { comparison } = JSON.parse(stdout) as Backtest
    compareSteps(t, comparison, real)
    t.equal(comparison.withheld['throttle skip THROTTLED']?.published, 18)
    t.same(comparison.channels.email, { published: 24, draft: 42 })
    await carillon.call('DELETE', '/v1/workflows/busy')
  })

  await t.test('people read it as a table, and the mesh has sent nothing', async (t) => {
    const period = ['--since', new Date(began - 60_000).toISOString()]
    const shown = await backtest(...period)
    t.equal(shown.code, 0, shown.stderr)
    t.match(shown.stdout, /news: news\.yaml against version 1, judged with today's preferences and devices/)
    t.match(shown.stdout, /300 events replayed from .* events\/s/)
    t.match(shown.stdout, /inbox +300 +299 +-1\n/)
    t.match(shown.stdout, /push skip CONDITION_FALSE +0 +\d+ +\+\d+\n/)
    t.match(shown.stdout, /2 people would get less: (ada|bob) -\d+/)
    t.match(shown.stdout, /nobody would get more/)
    const { comparison } = JSON.parse((await backtest(...period, '--json')).stdout) as Backtest
    // whose comes first is up to the order in which the events were taken
    const examples = comparison.examples.map(
      ({ person, event, published, draft }) =>
        `  ${person} of ${event}: ${published.join(', ')} → ${draft.join(', ') || 'nothing'}\n`,
    )
    t.match(examples[0], /^ {2}(ada|bob) of n-\d+: inbox, push → /)
    t.match(shown.stdout, `for example\n${examples.join('')}`)
    const after = await world.rows(`SELECT FROM runs WHERE workflow_key = 'news'`)
    t.equal(after.length, 2 * EVENTS)
  })

  await t.test('a limit and a period leave out the rest, and say so', async (t) => {
    const limited = await backtest('--since', '1h', '--limit', '100')
    t.match(limited.stdout, /100 events replayed.*\nThere are more events: raise --limit/)
    const none = await backtest('--since', '2h', '--until', '1h')
    t.match(none.stdout, /0 events replayed/)
  })

  await t.test('pages follow each other, whatever their size', async (t) => {
    const seen: string[] = []
    let after = ''
    for (;;) {
      const path = `/v1/events?types=test.*&limit=70${after}`
      const page = await carillon.call<{ events: { eventId: string }[]; next: string | null }>('GET', path)
      seen.push(...page.events.map(({ eventId }) => eventId))
      if (page.next === null) break
      after = `&after=${page.next}`
    }
    t.equal(seen.length, EVENTS + 121)
    t.equal(new Set(seen).size, EVENTS + 121)
  })

  await t.test('a key names the draft that is stored, and what is wrong is said', async (t) => {
    const missing = await runCli(t, ['workflow', 'backtest', 'news'], { cwd: folder, env })
    t.equal(missing.code, 1)
    t.match(missing.stderr, /neither a file "news" nor a draft of that key.*\n.*push --draft/)
    await writeFile(join(folder, 'bad.yaml'), DRAFT.replace('data.urgent', 'data.urgent =='))
    const bad = await runCli(t, ['workflow', 'backtest', 'bad.yaml'], { cwd: folder, env })
    t.match(bad.stderr, /bad\.yaml: steps\.1\.push\.if/)
    const wrong = await backtest('--since', 'yesterday')
    t.equal(wrong.code, 2)
    t.match(wrong.stderr, /neither a duration nor a moment.*\n.*7d/)
    await carillon.putWorkflow(DRAFT, 'news', { as: 'draft' })
    const stored = await runCli(t, ['workflow', 'backtest', 'news', '--since', '1h'], { cwd: folder, env })
    t.match(stored.stdout, /news: the draft \(version 2\) against version 1/)
    t.match(stored.stdout, /inbox +300 +299 +-1\n/)
  })

  await t.test('a shadow is compared on live events', async (t) => {
    const show = (...args: string[]) => runCli(t, ['workflow', 'shadow', ...args], { cwd: folder, env })
    const none = await show('other')
    t.equal(none.code, 1)
    t.match(none.stderr, /"other" has no shadow.*\n.*push --shadow/)
    await carillon.putWorkflow(DRAFT, 'news', { as: 'shadow' })
    const fresh = await show('news')
    t.match(fresh.stdout, /version 2 is judged on live events.*\n\n {2}nothing has happened yet/)
    await carillon.publish({
      type: 'test.news.v1',
      data: { number: 1_000, title: 'Live', urgent: false, to: ['eve'] },
    })
    await eventually(async () => (await world.rows('SELECT FROM shadow_results')).length > 0)
    const { stdout } = await show('news')
    t.match(stdout, /version 2 against version 1, \d{4}-\d\d-\d\d\n/)
    t.match(stdout, /inbox +1 +0 +0\n/)
    t.match(stdout, /email +0 +1 +0\n/)
    t.match(
      stdout,
      /published inbox, push UNSUBSCRIBED\n +shadow +inbox, push CONDITION_FALSE, wait wait, email/,
    )
    const { comparisons } = JSON.parse((await show('news', '--json')).stdout) as { comparisons: unknown[] }
    t.equal(comparisons.length, 1)
  })
})

/** Outcomes that are stored, each with how often. */
function decidedByMesh(world: World, workflow: string): Promise<{ step: string; count: number }[]> {
  return world.rows(
    `SELECT s->>'type' || ' ' || (s->>'outcome') || coalesce(' ' || (s->>'reason'), '') AS step, count(*)::int AS count
     FROM runs, json_array_elements(plan) AS p, json_array_elements(p->'steps') AS s
     WHERE workflow_key = $1 AND s->>'outcome' IN ('deliver', 'skip', 'hold') GROUP BY 1 ORDER BY 1`,
    [workflow],
  )
}

function compareSteps(
  t: { equal(found: unknown, wanted: unknown, message: string): void },
  { channels, withheld }: Comparison,
  real: readonly { step: string; count: number }[],
): void {
  for (const { step, count } of real) {
    const [type, outcome] = step.split(' ') as [Channel, string]
    t.equal(outcome === 'deliver' ? channels[type].published : withheld[step]?.published, count, step)
  }
}

async function newKey({ carillon }: World): Promise<string> {
  const scopes = ['workflows:write', 'users:read']
  const { key } = await carillon.call<{ key: string }>('POST', '/v1/keys', { name: 'backtest', scopes })
  return key
}
