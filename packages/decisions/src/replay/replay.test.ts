import type { DomainEvent, WorkflowDefinition } from '@carillon/contracts'
import fc from 'fast-check'
import t from 'tap'
import { type CompiledWorkflow, compileWorkflow } from '../compile.js'
import { createCalendar } from '../time/calendar.js'
import { createWorkflowValidator } from '../validate.js'
import type { Decision } from './decision.js'
import { createPeople, type WrittenPerson, type WrittenTenant } from './people.js'
import { createReplay, type Replay, type ReplayOptions } from './replay.js'

const NOON = Date.parse('2026-03-27T12:00:00Z')
const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

let made = 0
const event = (type: string, data: unknown, part: Partial<DomainEvent> = {}): DomainEvent => ({
  tenant: 'test',
  lane: 'normal',
  id: `e-${++made}`,
  source: '/test',
  type,
  time: undefined,
  subject: undefined,
  data,
  dataJson: JSON.stringify(data),
  traceparent: undefined,
  ...part,
})

const validate = createWorkflowValidator()
const workflow = (part: Partial<WorkflowDefinition>) => {
  const checked = validate({
    key: 'w',
    on: 'asked',
    to: 'data.who',
    content: { title: 'Hello {{ data.name }}' },
    steps: ['inbox'],
    ...part,
  })
  if (!checked.ok) throw new Error(JSON.stringify(checked.problems))
  return compileWorkflow(checked.definition, { version: 1 })
}

const ADA: WrittenPerson = {
  id: 'ada',
  email: 'ada@example.com',
  phone: '+431234',
  timezone: 'Europe/Vienna',
  devices: [{ kind: 'fcm', app: 'customer' }],
}
const TENANT: WrittenTenant = { locale: 'en', timezone: 'UTC' }

const replayOf = (
  parts: readonly (Partial<WorkflowDefinition> | CompiledWorkflow)[],
  options: { people?: WrittenPerson[]; tenant?: WrittenTenant } & Partial<Omit<ReplayOptions, 'people'>> = {},
): Replay => {
  const { people: written = [ADA], tenant = TENANT, ...rest } = options
  const people = createPeople(tenant)
  for (const person of written) people.put(person)
  return createReplay({
    workflows: parts.map((part) => ('types' in part ? part : workflow(part))),
    people,
    calendar: createCalendar(),
    ...rest,
  })
}

const ASKED = { who: 'ada', name: 'you' }
/** Like `inbox deliver`, one per step and pass. */
const told = ({ steps }: Decision) =>
  steps.map(({ type, outcome, reason }) => `${type} ${outcome}${reason === undefined ? '' : ` ${reason}`}`)
interface Call {
  kind: 'ask' | 'pay' | 'see' | 'cancel'
  after: number
  room: string
  who: string
}
const only = (replay: Replay): Decision => {
  const decisions = replay.decisions()
  if (decisions.length !== 1) throw new Error(`${decisions.length} decisions`)
  return decisions[0] as Decision
}

t.test('a run waits, wakes on time and ends when it was seen', async (t) => {
  const steps: WorkflowDefinition['steps'] = ['inbox', { wait: '10m' }, 'email']
  const seen = replayOf([{ stop: 'seen', steps }])
  seen.accept(event('asked', ASKED), NOON)
  t.equal(only(seen).state, 'waiting')
  t.equal(seen.see({ workflow: 'w', recipient: 'ada' }, NOON + 5 * MINUTE), 1)
  t.same(told(only(seen)), ['inbox deliver', 'wait wait', 'email skip ALREADY_SEEN'])
  t.equal(only(seen).state, 'completed')

  const unseen = replayOf([{ stop: 'seen', steps }])
  unseen.accept(event('asked', ASKED), NOON)
  unseen.advanceTo(NOON + 10 * MINUTE - 1)
  t.equal(only(unseen).state, 'waiting')
  unseen.advanceTo(NOON + 10 * MINUTE)
  t.same(told(only(unseen)), ['inbox deliver', 'wait wait', 'email deliver'])
  t.equal(only(unseen).passes[1]?.at, NOON + 10 * MINUTE)
})

t.test('who is online is left alone by steps that say so', async (t) => {
  const steps: WorkflowDefinition['steps'] = ['inbox', { email: { unlessOnline: true } }]
  const online = replayOf([{ steps }], { people: [{ id: 'ada', email: 'ada@example.com', online: true }] })
  online.accept(event('asked', ASKED), NOON)
  t.same(told(only(online)), ['inbox deliver', 'email skip ONLINE'])
})

t.test('the same event again begins nothing, and time does not go back', async (t) => {
  const replay = replayOf([{}])
  const first = event('asked', ASKED)
  t.equal(replay.accept(first, NOON).duplicate, false)
  t.equal(replay.accept({ ...first, data: { who: 'bob' } }, NOON + 1).duplicate, true)
  t.equal(only(replay).content.inbox?.title, 'Hello you')
  replay.accept({ ...first, source: '/other' }, NOON + 2)
  t.equal(replay.decisions().length, 2, 'another source has ids of its own')
  t.throws(() => replay.advanceTo(NOON), RangeError)
})

t.test('quiet hours hold what rings until they end, on the night when clocks change', async (t) => {
  const quietHours = { windows: [{ from: '22:00', to: '07:00' }] }
  const replay = replayOf([{ steps: ['inbox', 'push', 'email'] }], { people: [{ ...ADA, quietHours }] })
  // 23:30 in Vienna; at 2:00 it becomes 3:00, so 7:00 is 5:00 UTC
  replay.accept(event('asked', ASKED), Date.parse('2026-03-28T22:30:00Z'))
  t.same(told(only(replay)), ['inbox deliver', 'push hold QUIET_HOURS', 'email deliver'])
  replay.advanceTo(Date.parse('2026-03-29T04:59:59Z'))
  t.equal(only(replay).state, 'waiting')
  replay.advanceTo(Date.parse('2026-03-29T05:00:00Z'))
  t.equal(told(only(replay)).at(-1), 'push deliver')
  t.equal(only(replay).state, 'completed')

  const expiring = replayOf([{ steps: ['push'], expires: '1h' }], { people: [{ ...ADA, quietHours }] })
  expiring.accept(event('asked', ASKED), Date.parse('2026-03-28T22:30:00Z'))
  t.same(told(only(expiring)), ['push skip EXPIRED'])
})

t.test('an awaited event wakes the run of its key, also when it came before the wait', async (t) => {
  const awaiting: Partial<WorkflowDefinition> = {
    steps: [
      { wait: '5m' },
      { wait: { event: 'paid', key: 'data.order', for: '1h' } },
      { branch: { if: 'run.woken == "event"', then: ['email'], else: ['push'] } },
    ],
  }
  const asked = () => event('asked', { ...ASKED, order: 'o-1' })
  const late = replayOf([awaiting])
  late.accept(asked(), NOON)
  late.accept(event('paid', { order: 'o-2' }), NOON + 10 * MINUTE)
  t.equal(only(late).state, 'waiting', 'of another order')
  late.accept(event('paid', { order: 'o-1' }), NOON + 20 * MINUTE)
  t.equal(told(only(late)).at(-1), 'email deliver')

  const early = replayOf([awaiting])
  early.accept(asked(), NOON)
  early.accept(event('paid', { order: 'o-1' }), NOON + MINUTE)
  t.equal(only(early).state, 'waiting', 'the first wait lasts')
  early.advanceTo(NOON + 5 * MINUTE)
  t.equal(told(only(early)).at(-1), 'email deliver')

  const never = replayOf([awaiting])
  never.accept(event('paid', { order: 'o-1' }), NOON)
  never.accept(asked(), NOON + 1)
  never.advanceTo(NOON + DAY)
  t.equal(told(only(never)).at(-1), 'push deliver', 'what came before the run does not count')
})

t.test('a digest tells everything once, in the window that its first item opened', async (t) => {
  const gathering: Partial<WorkflowDefinition> = {
    content: { title: '{{ digest.count | default: 1 }} from {{ data.name }}' },
    steps: [{ digest: { window: '10m', key: 'data.room', maxItems: 3 } }, 'inbox'],
  }
  const replay = replayOf([gathering])
  const say = (room: string, at: number) => replay.accept(event('asked', { ...ASKED, room }), NOON + at)
  say('a', 0)
  say('b', MINUTE)
  say('a', 9 * MINUTE)
  say('a', 10 * MINUTE)
  say('b', 10 * MINUTE + 1)
  say('b', 10 * MINUTE + 2)
  const carriers = () => replay.decisions().filter(({ digest }) => digest !== undefined && 'items' in digest)
  t.same(
    carriers().map(({ state, content }) => [state, content.inbox?.title]),
    [
      ['completed', '2 from you'],
      ['completed', '3 from you'],
      ['waiting', undefined],
    ],
    'the first by its time, the second because it was full',
  )
  replay.advanceTo(NOON + DAY)
  t.equal(carriers()[2]?.content.inbox?.title, '1 from you')
  const items = carriers().flatMap(({ digest }) =>
    digest !== undefined && 'items' in digest ? digest.items : [],
  )
  t.equal(items.length, 6)
  t.equal(new Set(items).size, 6, 'each in exactly one')
  t.same(new Set(replay.decisions().map(({ state }) => state)), new Set(['digested', 'completed']))
})

t.test('a digest that flushes its first item lets it go on at once', async (t) => {
  const replay = replayOf([
    {
      steps: [{ digest: { window: '10m', flushFirst: true } }, 'inbox'],
      content: { title: '{{ digest.count }}' },
    },
  ])
  replay.accept(event('asked', ASKED), NOON)
  t.same(told(only(replay)), ['digest pass', 'inbox deliver'])
  replay.accept(event('asked', ASKED), NOON + 1)
  replay.accept(event('asked', ASKED), NOON + 2)
  replay.advanceTo(NOON + 10 * MINUTE)
  t.same(
    replay.decisions().map(({ state, content }) => `${state} ${content.inbox?.title ?? ''}`.trim()),
    ['completed 1', 'digested', 'completed 2', 'digested'],
  )
})

t.test('what was cancelled leaves its digest, and an empty digest says nothing', async (t) => {
  const replay = replayOf([
    {
      cancelKey: 'data.id',
      steps: [{ digest: { window: '10m' } }, 'inbox'],
      content: { title: '{{ digest.count }}' },
    },
  ])
  replay.accept(event('asked', { ...ASKED, id: 1 }), NOON)
  replay.accept(event('asked', { ...ASKED, id: 2 }), NOON)
  replay.cancel('w', '1', NOON + 1)
  replay.advanceTo(NOON + HOUR)
  t.equal(replay.decisions()[1]?.content.inbox?.title, '1')
  replay.accept(event('asked', { ...ASKED, id: 3 }), NOON + HOUR)
  replay.cancel('w', '3', NOON + HOUR + 1)
  replay.advanceTo(NOON + DAY)
  t.equal(replay.decisions().at(-1)?.state, 'cancelled')
})

t.test('a cancel holds whichever came first, and so does one that a workflow orders', async (t) => {
  const reminder: Partial<WorkflowDefinition> = {
    cancelKey: 'data.id',
    steps: [{ wait: '1h' }, 'inbox'],
  }
  const undo: Partial<WorkflowDefinition> = {
    key: 'undo',
    on: 'undone',
    steps: [{ cancel: { workflow: 'w', key: 'data.id' } }],
  }
  const replay = replayOf([reminder, undo])
  const happened = new Date(NOON - MINUTE).toISOString()
  replay.accept(event('undone', { ...ASKED, id: 1 }), NOON)
  replay.accept(event('asked', { ...ASKED, id: 1 }, { time: happened }), NOON + 1)
  replay.accept(event('asked', { ...ASKED, id: 2 }), NOON + 2)
  replay.accept(event('undone', { ...ASKED, id: 2 }), NOON + 3)
  replay.accept(event('asked', { ...ASKED, id: 3 }), NOON + 4)
  replay.advanceTo(NOON + DAY)
  t.same(
    replay.decisions().map(({ workflow: key, state }) => `${key} ${state}`),
    ['undo completed', 'w cancelled', 'w cancelled', 'undo completed', 'w completed'],
  )
})

t.test('throttles and caps count per person and window', async (t) => {
  const throttled = replayOf([{ steps: [{ throttle: { count: 2, per: '1h' } }, 'inbox'] }])
  for (const at of [0, 1, 2, HOUR]) throttled.accept(event('asked', ASKED), NOON + at)
  t.same(
    throttled.decisions().map(({ state, reason }) => reason ?? state),
    ['completed', 'completed', 'THROTTLED', 'completed'],
  )
  const capped = replayOf([{ steps: ['inbox', 'push'] }], { caps: [{ count: 1, per: '1d' }] })
  for (const at of [0, HOUR, DAY]) capped.accept(event('asked', ASKED), NOON + at)
  t.same(
    capped.decisions().map((decision) => told(decision)[1]),
    ['push deliver', 'push skip FREQUENCY_CAPPED', 'push deliver'],
  )
})

t.test('roles, topics, segments and everybody are found, and nobody is told twice', async (t) => {
  const people = createPeople(TENANT)
  people.put({ ...ADA, roles: ['driver'], attributes: { plan: 'pro' } })
  people.put({ id: 'bob', roles: ['driver'], status: 'suspended' })
  people.put({ id: 'eve', attributes: { plan: 'free' } })
  people.subscribe('city.vienna', 'eve')
  people.subscribe('city', 'ada')
  const toldBy = (to: WorkflowDefinition['to'], data: object = {}) => {
    const replay = createReplay({ workflows: [workflow({ to })], people, calendar: createCalendar() })
    replay.accept(event('asked', { ...ASKED, ...data }), NOON)
    return replay
      .decisions()
      .map(({ recipient, state }) => (state === 'completed' ? recipient : `${recipient} ${state}`))
  }
  t.same(toldBy({ role: 'driver' }), ['ada'])
  t.same(toldBy({ topic: 'city' }), ['eve', 'ada'])
  t.same(toldBy({ topic: 'city.vienna' }), ['eve', 'ada'], 'who hears the whole hears its part')
  t.same(toldBy({ topic: 'city.graz' }), ['ada'])
  t.same(toldBy({ segment: 'user.attributes.plan == "pro"' }), ['ada'])
  t.same(toldBy({ everyone: true }), ['ada', 'eve'])
  t.same(toldBy('["eve", {"role": "driver"}, "ada"]'), ['eve', 'ada'])
  t.same(toldBy('data.who', { who: 'zoe' }), ['zoe skipped'], 'somebody who is not known')
  t.same(
    toldBy('{"id": data.who, "email": "zoe@example.com"}', { who: 'zoe' }),
    ['zoe'],
    'identified on the way',
  )
})

t.test('a trigger starts its workflow alone, for whom it names', async (t) => {
  const replay = replayOf([{}, { key: 'other' }])
  const data = { workflow: 'other', to: ['ada'], data: { name: 'me' } }
  replay.accept(event('carillon.trigger.v1', data), NOON)
  t.equal(only(replay).workflow, 'other')
  t.equal(only(replay).content.inbox?.title, 'Hello me')
})

t.test('a text that can not be rendered fails its run alone', async (t) => {
  const replay = replayOf([{}, { key: 'other', content: { title: 'Hello' } }])
  replay.accept(event('asked', { who: 'ada' }), NOON)
  t.same(
    replay.decisions().map(({ state, reason }) => reason ?? state),
    ['PAYLOAD_INVALID', 'completed'],
  )
  t.match(replay.decisions()[0]?.steps[0]?.detail, /name/)
})

t.test('the same calls give the same bytes, and every run is given once to who streams', async (t) => {
  const written: Partial<WorkflowDefinition>[] = [
    { stop: 'seen', steps: ['inbox', { wait: { seen: true, for: '5m' } }, 'push', { wait: '5m' }, 'email'] },
    {
      key: 'd',
      cancelKey: 'data.room',
      steps: [{ digest: { sliding: '2m', atMost: '6m', maxItems: 3, key: 'data.room' } }, 'push'],
    },
    {
      key: 't',
      steps: [
        { throttle: { count: 2, per: '10m' } },
        { digest: { window: '3m', flushFirst: true } },
        'push',
        'inbox',
      ],
    },
    {
      key: 'a',
      cap: { count: 2, per: '1h' },
      steps: [{ wait: { event: 'paid', key: 'data.room', for: '7m' } }, 'email'],
    },
  ]
  const parts = written.map(workflow)
  const call: fc.Arbitrary<Call> = fc.record({
    kind: fc.constantFrom<Call['kind']>('ask', 'ask', 'ask', 'pay', 'see', 'cancel'),
    after: fc.integer({ min: 0, max: 4 * MINUTE }),
    room: fc.constantFrom('a', 'b'),
    who: fc.constantFrom('ada', 'bob'),
  })
  const play = (calls: readonly Call[], onDecided?: (decision: Decision) => void) => {
    const replay = replayOf(parts, {
      people: [
        ADA,
        { id: 'bob', quietHours: { windows: [{ from: '12:03', to: '12:09' }] }, devices: ADA.devices },
      ],
      ...(onDecided === undefined ? {} : { onDecided }),
    })
    let at = NOON
    calls.forEach(({ kind, after, room, who }, index) => {
      at += after
      const id = `e-${index}`
      if (kind === 'ask') replay.accept(event('asked', { who, room, name: 'you' }, { id }), at)
      else if (kind === 'pay') replay.accept(event('paid', { room }, { id }), at)
      else if (kind === 'see') replay.see({ workflow: 'w', recipient: who }, at)
      else replay.cancel('d', room, at)
    })
    replay.advanceTo(at + DAY)
    return replay
  }
  const CASES = 300
  fc.assert(
    fc.property(fc.array(call, { maxLength: 25 }), (calls) => {
      const decisions = play(calls).decisions()
      if (JSON.stringify(decisions) !== JSON.stringify(play(calls).decisions())) return false
      if (decisions.some(({ state }) => state === 'waiting' || state === 'queued')) return false
      if (
        decisions.some(({ steps }) =>
          steps.some(({ outcome, reason }) => outcome === 'skip' && reason === undefined),
        )
      )
        return false
      const items = decisions.flatMap(({ digest }) =>
        digest !== undefined && 'items' in digest ? digest.items : [],
      )
      if (new Set(items).size !== items.length) return false
      if (items.length !== decisions.filter(({ state }) => state === 'digested').length) return false
      const streamed: Decision[] = []
      play(calls, (decision) => streamed.push(decision)).end()
      const byRun = (all: readonly Decision[]) =>
        JSON.stringify([...all].sort((a, b) => (a.run < b.run ? -1 : 1)))
      return byRun(streamed) === byRun(decisions)
    }),
    { numRuns: CASES },
  )
  t.comment(`${CASES} cases`)
})
