import {
  CHANNELS,
  DELIVERY_CHANNELS,
  type DomainEvent,
  type Reason,
  type WorkflowDefinition,
} from '@carillon/contracts'
import fc from 'fast-check'
import t from 'tap'
import { compileWorkflow } from './compile.js'
import { RenderError } from './errors.js'
import type { Facts } from './facts.js'
import { createMatcher } from './match.js'
import { type Plan, type PlanInput, plan as planAt } from './plan.js'
import { recipientsOf } from './recipients.js'
import { createCalendar } from './time/calendar.js'

const NOW = 1_750_000_000_000
const calendar = createCalendar()
const plan = (input: Omit<PlanInput, 'calendar'>) => planAt({ calendar, ...input })

const event = (data: unknown): DomainEvent => ({
  tenant: 'demo',
  lane: 'normal',
  id: 'e-1',
  source: '/rides',
  type: 'rides.ride.accepted.v1',
  time: undefined,
  subject: undefined,
  data,
  dataJson: JSON.stringify(data),
  traceparent: undefined,
})
const EVENT = event({ who: 'ada', name: 'Mira', go: true })

const workflow = (part: Partial<WorkflowDefinition> = {}) =>
  compileWorkflow(
    {
      key: 'w',
      on: EVENT.type,
      to: 'data.who',
      content: { title: 'Hello {{ data.name }}' },
      steps: ['inbox'],
      ...part,
    },
    { version: 1 },
  )

const facts = (part: Partial<Omit<Facts, 'user'>> = {}, user: Partial<Facts['user']> = {}): Facts => ({
  user: {
    id: 'u-1',
    externalId: 'ada',
    email: 'ada@example.com',
    phone: null,
    name: 'Ada',
    locale: 'en',
    timezone: null,
    roles: [],
    attributes: {},
    status: 'active',
    ...user,
  },
  devices: [{ id: 'd-1', kind: 'fcm', app: 'customer', status: 'active' }],
  category: null,
  preferences: [],
  tenantDefaults: [],
  quietHours: null,
  seenAt: null,
  cancelledAt: null,
  tenantLocale: 'en',
  tenantTimezone: 'UTC',
  ...part,
})

const USED_UP = {
  throttles: new Set<number>(),
  cap: { detail: '2 of at most 2 per 1h have gone out', channels: DELIVERY_CHANNELS },
}

const anyFacts: fc.Arbitrary<Facts> = fc
  .record({
    suspended: fc.boolean(),
    email: fc.constantFrom(null, 'ada@example.com'),
    locale: fc.constantFrom(null, 'de-AT', 'en', 'fr'),
    devices: fc.array(
      fc.record({
        app: fc.constantFrom('customer', 'driver'),
        status: fc.constantFrom('active' as const, 'gone' as const),
      }),
      { maxLength: 3 },
    ),
    off: fc.subarray([...CHANNELS]),
    capped: fc.boolean(),
    seenAt: fc.constantFrom(null, NOW - 1_000),
    cancelledAt: fc.constantFrom(null, NOW - 2_000),
  })
  .map(({ suspended, email, locale, devices, off, capped, ...rest }) =>
    facts(
      {
        ...rest,
        ...(capped ? { used: USED_UP } : {}),
        devices: devices.map((device, index) => ({ id: `d-${index}`, kind: 'fcm' as const, ...device })),
        preferences: off.map((channel) => ({ category: null, channel, enabled: false })),
      },
      { email, locale, status: suspended ? 'suspended' : 'active' },
    ),
  )

const STEPS: WorkflowDefinition['steps'] = [
  'inbox',
  'push',
  'email',
  { push: { app: 'driver' } },
  { email: { if: 'data.go == false' } },
  { webhook: { url: 'https://example.com/hook' } },
]
const anySteps = fc.array(fc.constantFrom(...STEPS), { minLength: 1, maxLength: 6 })
const anyWorkflow = fc
  .record({ steps: anySteps, stop: fc.boolean(), cap: fc.boolean() })
  .map(({ steps, stop, cap }) =>
    workflow({
      steps,
      ...(stop ? { stop: 'seen' as const } : {}),
      ...(cap ? { cap: { count: 2, per: '1h' } } : {}),
    }),
  )

t.test('the same input gives the same bytes', async (t) => {
  fc.assert(
    fc.property(anyWorkflow, anyFacts, (workflow, facts) => {
      const judge = () => JSON.stringify(plan({ event: EVENT, workflow, facts, now: NOW }))
      const [first, second] = [judge(), judge()]
      return first === second
    }),
    { numRuns: 1_000 },
  )
  t.comment('1000 cases')
})

t.test('every step is explained, and every skip has a reason', async (t) => {
  fc.assert(
    fc.property(anyWorkflow, anyFacts, (workflow, facts) => {
      const { steps } = plan({ event: EVENT, workflow, facts, now: NOW })
      return (
        steps.length === workflow.steps.length &&
        steps.every(
          ({ detail, outcome, reason }) => detail !== '' && (outcome === 'skip') === (reason !== undefined),
        )
      )
    }),
    { numRuns: 1_000 },
  )
  t.comment('1000 cases')
})

/** In the order of judgement: what makes each refusal hold. Each starts where the one before it doesn't hold. */
const ORDER: readonly [reason: Reason, apply: (facts: Facts) => Facts][] = [
  ['NO_RECIPIENT', (facts) => ({ ...facts, user: { ...facts.user, status: 'suspended' } })],
  ['CANCELLED', (facts) => ({ ...facts, cancelledAt: NOW - 2 })],
  [
    'UNSUBSCRIBED',
    (facts) => ({ ...facts, preferences: [{ category: null, channel: 'push', enabled: false }] }),
  ],
  ['ALREADY_SEEN', (facts) => ({ ...facts, seenAt: NOW - 1 })],
  ['ONLINE', (facts) => ({ ...facts, online: true })],
  ['FREQUENCY_CAPPED', (facts) => ({ ...facts, used: USED_UP })],
  ['NO_ADDRESS', (facts) => ({ ...facts, devices: [] })],
]

t.test('where several refusals hold, the first in the order of judgement is the reason', async (t) => {
  const capped = workflow({
    steps: [{ push: { unlessOnline: true } }],
    stop: 'seen',
    cap: { count: 2, per: '1h' },
  })
  for (let mask = 0; mask < 2 ** ORDER.length; mask++) {
    const holding = ORDER.filter((_, bit) => (mask >> bit) % 2 === 1)
    const state = holding.reduce((known, [, apply]) => apply(known), facts())
    const [step] = plan({ event: EVENT, workflow: capped, facts: state, now: NOW }).steps
    t.equal(step?.reason, holding[0]?.[0], holding.map(([reason]) => reason).join(' + ') || 'nothing')
  }
  t.comment(`${2 ** ORDER.length} combinations, all there are`)
})

t.test('a plan that waits judges the same as one that does not', async (t) => {
  fc.assert(
    fc.property(anySteps, anyFacts, fc.nat(5), (steps, known, at) => {
      // a run that ended doesn't wait, so nothing is there to compare
      const state = { ...known, cancelledAt: null, user: { ...known.user, status: 'active' as const } }
      const cut = Math.min(at, steps.length - 1)
      const whole = plan({ event: EVENT, workflow: workflow({ steps }), facts: state, now: NOW })
      const split = workflow({ steps: [...steps.slice(0, cut), { wait: '1m' }, ...steps.slice(cut)] })
      const first = plan({ event: EVENT, workflow: split, facts: state, now: NOW })
      if (first.state !== 'waiting' || first.nextStep !== cut + 1) return false
      const second = plan({
        event: EVENT,
        workflow: split,
        facts: state,
        now: NOW + 60_000,
        begunAt: NOW,
        fromStep: cut + 1,
      })
      const strip = (plans: Plan[]) =>
        plans
          .flatMap(({ steps }) => steps)
          .filter(({ type }) => type !== 'wait')
          .map(({ step: _, ...rest }) => rest)
      return JSON.stringify(strip([first, second])) === JSON.stringify(strip([whole]))
    }),
    { numRuns: 1_000 },
  )
  t.comment('1000 cases')
})

t.test('a critical category is never capped and never switched off', async (t) => {
  const alarm = { key: 'alarm', name: 'Alarm', critical: true, defaults: { push: false } }
  const loud = workflow({ steps: ['push'], category: 'alarm', cap: { count: 1, per: '1h' } })
  const off = [{ category: 'alarm', channel: null, enabled: false }]
  const result = plan({
    event: EVENT,
    workflow: loud,
    facts: facts({ category: alarm, preferences: off, used: USED_UP }),
    now: NOW,
  })
  t.equal(result.steps[0]?.outcome, 'deliver')
})

t.test('a missing variable is an error that names it', async (t) => {
  try {
    plan({ event: event({ who: 'ada' }), workflow: workflow(), facts: facts(), now: NOW })
    t.fail('it was rendered')
  } catch (error) {
    t.ok(error instanceof RenderError)
    t.match(error, { code: 'VARIABLE_MISSING', message: /data\.name/ })
  }
})

t.test('markup in data stays text in a mail', async (t) => {
  const mail = workflow({ steps: [{ email: { content: { html: '<p>{{ data.name }}</p>' } } }] })
  const hostile = event({ who: 'ada', name: '<script>"&' })
  const { content } = plan({ event: hostile, workflow: mail, facts: facts(), now: NOW })
  t.match(content['0']?.html, '<p>&lt;script&gt;&#34;&amp;</p>')
})

t.test('a reader of de-AT gets the most exact text there is, field by field', async (t) => {
  const speaks = workflow({
    content: { title: 'en', body: 'only en' },
    locales: { de: { title: 'de' }, 'de-AT': { title: 'de-AT' }, fr: { title: 'fr' } },
  })
  const titleFor = (locale: string | null, tenantLocale: string) =>
    plan({ event: EVENT, workflow: speaks, facts: facts({ tenantLocale }, { locale }), now: NOW }).content
      .inbox
  t.match(titleFor('de-AT', 'en'), { title: 'de-AT', body: 'only en' })
  t.match(titleFor('de-CH', 'en'), { title: 'de' })
  t.match(titleFor('it', 'fr-BE'), { title: 'fr' }, 'the tenant speaks before the default')
  t.match(titleFor(null, 'en'), { title: 'en' })
})

t.test('nobody is told twice, whatever the expression gives', async (t) => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.constantFrom('a', 'b', 'c'),
          fc.constantFrom('a', 'b').map((id) => ({ id })),
        ),
      ),
      (people) => {
        const selected = recipientsOf(event({ people }), workflow({ to: 'data.people' }))
        const ids = selected.users.map((user) => (typeof user === 'string' ? user : user.id))
        const wanted = [...new Set(people.map((one) => (typeof one === 'string' ? one : one.id)))]
        return JSON.stringify(ids) === JSON.stringify(wanted)
      },
    ),
    { numRuns: 500 },
  )
  t.comment('500 cases')
})

t.test('a condition that cannot be judged is a reason, not a crash', async (t) => {
  const match = createMatcher([workflow({ if: 'data.absent.deep == 1' })])
  const { matched, outcomes } = match(EVENT)
  t.equal(matched.length, 0)
  t.match(outcomes, [{ matched: false, reason: 'CONDITION_FALSE', detail: /could not be judged/ }])
})
