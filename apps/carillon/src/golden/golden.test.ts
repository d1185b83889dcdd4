import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { useFolder } from '@carillon/testkit'
import t from 'tap'
import { createTestRunner, type TestOutcome } from './run-test-file.js'

const WORKFLOWS = fileURLToPath(new URL('../../../../../workflows', import.meta.url))

const GREETING = `key: greeting
on: asked
if: data.go
to: data.who
category: news
content: { title: "Hello {{ data.name }}" }
steps: [inbox, push, { wait: 1h }, email]
`
const TEST = `# kept
now: 2026-03-28T22:30:00Z   # kept too
people:
  ada: { email: ada@example.com, devices: [fcm] }
  bob: { preferences: [{ category: news, enabled: false }] }
events:
  - { type: asked, data: { who: ada, name: you, go: true } }
  - { type: asked, data: { who: bob, name: you, go: true } }
  - { type: asked, data: { who: ada, name: you, go: false } }
  - { advance: 1h }
`
const EXPECT = `expect:
  - workflow: greeting
    to: ada
    event: event-1
    state: completed
    steps:
      - inbox: { title: Hello you }
      - push
      - wait
      - email
  - workflow: greeting
    to: bob
    event: event-2
    state: skipped
    reason: UNSUBSCRIBED
    steps:
      - inbox: skip UNSUBSCRIBED
      - push: skip UNSUBSCRIBED
      - wait
      - email: skip UNSUBSCRIBED
`

const run = async (
  t: Parameters<typeof useFolder>[0],
  test: string,
  {
    workflow = GREETING,
    update = false,
    files = {},
  }: { workflow?: string; update?: boolean; files?: Record<string, string> } = {},
) => {
  const folder = await useFolder(t)
  const all = { 'greeting.yaml': workflow, 'greeting.test.yaml': test, ...files }
  for (const [name, text] of Object.entries(all)) await writeFile(join(folder, name), text)
  const outcome = await createTestRunner(folder)('greeting.test.yaml', { update })
  return { outcome, written: await readFile(join(folder, 'greeting.test.yaml'), 'utf8') }
}
const linesOf = (outcome: TestOutcome) =>
  outcome.kind === 'differs'
    ? outcome.differences.flatMap(({ place, title, lines }) => [
        `${place.line}:${place.column} ${title}`,
        ...lines.filter(({ mark }) => mark !== ' ').map(({ mark, text }) => `${mark} ${text}`),
      ])
    : [outcome.kind]
const problemsOf = (outcome: TestOutcome) =>
  outcome.kind === 'broken'
    ? outcome.problems.map(
        ({ file, line, column, message, remedy }) => `${file}:${line}:${column} ${message} ${remedy}`,
      )
    : [outcome.kind]

t.test('the workflows that come with the repository decide as their tests expect', async (t) => {
  const runTest = createTestRunner(WORKFLOWS)
  for (const file of [
    'hello.test.yaml',
    'rides/ride-accepted.test.yaml',
    'rides/quiet-night.test.yaml',
    'rides/whole-ride.test.yaml',
  ]) {
    const outcome = await runTest(file, { update: false })
    t.equal(outcome.kind, 'passed', file)
  }
})

t.test('the example of the guide passes', async (t) => {
  const guide = await readFile(join(WORKFLOWS, '../docs/guides/testing-workflows.md'), 'utf8')
  const example = /```yaml\n(# ride-accepted\.test\.yaml\n[^`]+)```/.exec(guide)?.[1] ?? ''
  const folder = await useFolder(t)
  await cp(join(WORKFLOWS, 'rides/ride-accepted.yaml'), join(folder, 'ride-accepted.yaml'))
  await writeFile(join(folder, 'ride-accepted.test.yaml'), example)
  const outcome = await createTestRunner(folder)('ride-accepted.test.yaml', { update: false })
  t.equal(outcome.kind, 'passed', JSON.stringify([linesOf(outcome), problemsOf(outcome)]))
})

t.test('what happens is written as it is expected, and then passes', async (t) => {
  const { written } = await run(t, TEST, { update: true })
  t.equal(written, TEST + EXPECT, 'everything else stays, byte for byte')
  t.equal((await run(t, written)).outcome.kind, 'passed')
  const again = await run(t, written, { update: true })
  t.equal(again.outcome.kind, 'unchanged')
  const below = await run(t, `${TEST}expect: []\ncategories: { news: { name: News } }\n`, { update: true })
  t.equal(below.written, `${TEST}${EXPECT}categories: { news: { name: News } }\n`)
})

t.test('how a step is sent is expected and written like its texts', async (t) => {
  const workflow = GREETING.replace(
    'push, {',
    'push: { ttl: 10m, sound: "{{ data.name }}.caf", content: { actions: [{ id: a, title: A }] } } }, { push: { badge: none } }, {',
  ).replace('[inbox, push', '[inbox, { push')
  const told = `      - push:
          title: Hello you
          actions:
            - { id: a, title: A }
          options: { sound: you.caf, ttlSeconds: 600 }
      - push:
          options: { badge: none }
`
  const { written } = await run(t, TEST, { workflow, update: true })
  t.ok(written.includes(told), written)
  t.equal((await run(t, written, { workflow })).outcome.kind, 'passed')
  const some = written.replace(', ttlSeconds: 600', '')
  t.equal((await run(t, some, { workflow })).outcome.kind, 'passed', 'what is named is compared')
  t.match(linesOf((await run(t, written.replace('you.caf', 'me.caf'), { workflow })).outcome), [
    /greeting for ada/,
    /^- push: .*me\.caf/,
    /^\+ push: .*you\.caf/,
  ])
})

t.test('a difference names its place, what was expected and what happened', async (t) => {
  const place = TEST.split('\n').length
  const wrongStep = EXPECT.replace('- push\n', '- push: skip NO_ADDRESS\n').replace('Hello you', 'Hello me')
  t.same(linesOf((await run(t, TEST + wrongStep)).outcome), [
    `${place + 6}:9 greeting for ada (event-1)`,
    '- inbox: { title: Hello me }',
    '- push: skip NO_ADDRESS',
    '+ inbox: { title: Hello you }',
    '+ push: deliver',
  ])
  t.same(linesOf((await run(t, TEST + EXPECT.replace('state: skipped', 'state: completed'))).outcome), [
    `${place + 10}:5 greeting for bob (event-2)`,
    '- state: completed',
    '+ state: skipped',
  ])
  const [first = '', second = ''] = EXPECT.split('  - workflow').slice(1)
  t.same(linesOf((await run(t, `${TEST}expect:\n  - workflow${first}`)).outcome), [
    `${place}:1 greeting for bob (event-2): it was not expected`,
    '+ state: skipped',
    '+ inbox: skip UNSUBSCRIBED',
    '+ push: skip UNSUBSCRIBED',
    '+ wait',
    '+ email: skip UNSUBSCRIBED',
  ])
  const more = (
    await run(
      t,
      `${TEST}${EXPECT}  - { workflow: greeting, to: ada, event: event-3, steps: [inbox] }\n  - workflow${second}`,
    )
  ).outcome
  t.same(linesOf(more), [
    `${place + 20}:5 greeting for ada: it did not happen`,
    '- inbox',
    `${place + 21}:5 greeting for bob: it did not happen`,
    '- inbox: skip UNSUBSCRIBED',
    '- push: skip UNSUBSCRIBED',
    '- wait',
    '- email: skip UNSUBSCRIBED',
  ])
  t.match(more.kind === 'differs' ? more.silences : [], [
    /greeting was not begun by event-3: the condition data.go is false/,
  ])
  t.equal(
    (
      await run(
        t,
        `${TEST}expect:\n  - { workflow: greeting, to: bob }\n  - { workflow: greeting, to: ada, state: completed }\n`,
      )
    ).outcome.kind,
    'passed',
    'what is not named is not compared, and order does not matter',
  )
})

t.test('a test that can not be run says where and what would be right', async (t) => {
  const broken: [written: string, says: RegExp][] = [
    ['now: [', /^greeting.test.yaml:\d+:\d+ It is not YAML/],
    [TEST, /:1:1 It expects nothing yet\. .*--update/],
    [TEST.replace('advance', 'advanced'), /:10:5 Nothing that can happen is named here\. Write \{ type/],
    [TEST.replace('advance: 1h', 'advance: soon'), /:10:16 "advance" must match.* Write a duration like/],
    [TEST.replace('email:', 'mail:'), /:4:10 "mail" is not known here\. Remove it or mend its name/],
    [
      TEST.replace('now: 2026-03-28T22:30:00Z', 'now: yesterday'),
      /:2:6 "yesterday" is no moment\. Write 2026/,
    ],
    [
      TEST.replace('devices: [fcm]', 'timezone: Vienna'),
      /:4:44 "Vienna" is no time zone\. Write one like Europe/,
    ],
    [TEST.replace('events:', 'happens:'), /"events" is missing\. Write a list of what happens/],
    [`${TEST}expect: [{ workflow: greeting, too: ada }]\n`, /:11:10 "to" is missing\./],
    [
      `${TEST}expect: [{ workflow: greeting, to: ada, steps: [{ inbox: 7 }] }]\n`,
      /:11:\d+ This is not an outcome of a step/,
    ],
    [`workflows: [other.yaml]\n${TEST}`, /:1:13 There is no file "other.yaml" beside it/],
    [
      `${TEST}  - { recorded: none.json }\n`,
      /:11:5 The recorded events "none.json" can't be read: there is no such file/,
    ],
    [`${TEST}  - { recorded: bad.json }\n`, /:11:5 .*Event 2: The attribute "source" is missing/],
  ]
  const files = { 'bad.json': '[{"id":"1","source":"/x","type":"asked"},{"id":"2","type":"asked"}]' }
  for (const [written, says] of broken) {
    const { outcome } = await run(t, written, { files })
    t.match(problemsOf(outcome).join('\n'), says)
  }
  const workflow = GREETING.replace('if: data.go', 'if: data.go ==')
  t.match(
    problemsOf((await run(t, TEST + EXPECT, { workflow })).outcome)[0],
    /^greeting.yaml:3:5 .* Mend the CEL/,
  )
})

t.test('recorded events are played as they came, in whatever form they were kept', async (t) => {
  const data = { who: 'ada', name: 'you', go: true }
  const cloudEvent = {
    specversion: '1.0',
    id: 'a',
    source: '/x',
    type: 'asked',
    time: '2026-03-28T10:00:00Z',
    data,
  }
  const kept = {
    id: 'row',
    eventId: 'b',
    source: '/x',
    type: 'asked',
    subject: null,
    time: null,
    lane: 'high',
    firstSeen: '2026-03-28T09:00:00Z',
    data,
    outcome: [],
    runs: [],
  }
  const test = `people: { ada: { email: ada@example.com } }
events: all.json
expect:
  - { workflow: greeting, to: ada, event: b, state: completed }
  - { workflow: greeting, to: ada, event: a, state: waiting }
`
  for (const content of [[cloudEvent, kept], { events: [kept, cloudEvent] }]) {
    const { outcome } = await run(t, test, { files: { 'all.json': JSON.stringify(content) } })
    t.equal(outcome.kind, 'passed', JSON.stringify(linesOf(outcome)))
  }
})

t.test('digests, cancels, topics, templates and caps can be tried', async (t) => {
  const workflow = `key: greeting
on: asked
to: { topic: city }
cancelKey: data.id
steps: [{ digest: { window: 10m } }, { email: { template: summary } }]
`
  const test = `tenant: { locale: de, caps: [{ count: 1, per: 1d }] }
templates:
  summary: { locales: { default: { title: "{{ digest.count }} Neuigkeiten", body: "{{ digest.first.name }}" } } }
people:
  ada: { email: ada@example.com, topics: [city.vienna] }
  bob: { email: bob@example.com }
events:
  - { type: asked, data: { id: 1, name: a } }
  - { type: asked, data: { id: 2, name: b }, after: 1m }
  - { cancel: { workflow: greeting, key: "1" }, after: 1m }
  - { type: asked, data: { id: 3, name: c }, after: 1h }
  - { advance: 1h }
expect:
  - { workflow: greeting, to: ada, event: event-1, state: digested, steps: [digest] }
  - { workflow: greeting, to: ada, items: 2, steps: [{ email: { title: 1 Neuigkeiten, body: b } }] }
  - { workflow: greeting, to: ada, event: event-2, state: digested }
  - { workflow: greeting, to: ada, event: event-3, state: digested }
  - { workflow: greeting, to: ada, items: 1, steps: [{ email: skip FREQUENCY_CAPPED }] }
`
  const { outcome } = await run(t, test, { workflow })
  t.equal(outcome.kind, 'passed', JSON.stringify([linesOf(outcome), problemsOf(outcome)]))
})

t.test('a person may be online', async (t) => {
  const workflow = `key: greeting
on: asked
to: data.who
content: { title: Hello }
steps: [inbox, { email: { unlessOnline: true } }]
`
  const test = `people:
  ada: { email: ada@example.com, online: true }
  bob: { email: bob@example.com }
events:
  - { type: asked, data: { who: [ada, bob] } }
expect:
  - { workflow: greeting, to: ada, steps: [inbox, { email: skip ONLINE }] }
  - { workflow: greeting, to: bob, steps: [inbox, email] }
`
  const { outcome } = await run(t, test, { workflow })
  t.equal(outcome.kind, 'passed', JSON.stringify([linesOf(outcome), problemsOf(outcome)]))
})

t.test('every workflow of the folder takes part, and no other', async (t) => {
  const folder = await useFolder(t)
  await mkdir(join(folder, 'inner'))
  await cp(join(WORKFLOWS, 'rides'), join(folder, 'rides'), { recursive: true })
  await writeFile(join(folder, 'inner/one.yaml'), GREETING)
  await writeFile(join(folder, 'inner/one.test.yaml'), `${TEST}${EXPECT}`)
  const outcome = await createTestRunner(folder)('inner/one.test.yaml', { update: false })
  t.equal(outcome.kind, 'passed')
})
