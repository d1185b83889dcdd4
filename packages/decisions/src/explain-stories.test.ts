import fc from 'fast-check'
import t from 'tap'
import { capped, eventOf, factsOf, NOW, planned, workflowOf } from './fixtures/facts.js'
import {
  compileRules,
  type ExplainInput,
  explain,
  explainEvent,
  explainRecipient,
  type Facts,
  type Plan,
  recipientsOf,
  stepNames,
  userScope,
  type WorkflowStory,
} from './index.js'

const HOUR = 3_600_000
const event = eventOf({ customerId: 'ada', rideId: 'r1', fast: true })
type Person = Parameters<typeof factsOf>[0]

/** The story of a run as `plan` judged it, without its first sentence. */
function story(
  written: object,
  { person = {}, later, ...more }: { person?: Person; later?: Plan } & Partial<ExplainInput> = {},
): string {
  const workflow = workflowOf(written)
  const first = planned({ event, workflow, facts: factsOf(person) })
  const last = later ?? first
  const { text } = explain({
    event: { type: event.type, id: event.id, source: event.source, seenAt: NOW },
    workflow: { key: workflow.key, version: workflow.version },
    recipient: 'ada',
    state: last.state,
    reason: last.reason ?? null,
    passes: later === undefined ? [first] : [first, later],
    stepNames: stepNames(workflow),
    deliveries: [],
    ...more,
  })
  return text.slice(text.indexOf(' for ada. ') + ' for ada. '.length)
}

const paid = { wait: { event: 'rides.ride.paid.v1', key: 'data.rideId', for: '1h' } }
const quiet: Facts['quietHours'] = {
  windows: [{ from: '12:00', to: '14:00' }],
  channels: ['push'],
  by: 'person',
}
const again = (written: object, more: { person?: Person; at?: number; from: number }): Plan =>
  planned({
    event,
    workflow: workflowOf(written),
    facts: factsOf(more.person ?? {}),
    begunAt: NOW,
    fromStep: more.from,
    resumeAt: NOW + HOUR,
    now: more.at ?? NOW + HOUR,
  })

const STORIES: Record<string, [told: () => string, expected: string]> = {
  'a step in a branch': [
    () => story({ steps: [{ branch: { if: 'data.fast', then: ['inbox'], else: ['email'] } }] }),
    'Step 1 (branch) was passed: data.fast is true. Step 1 in the branch of step 1 (inbox) was sent on its way: nobody switched it off. The run is complete.',
  ],
  'a step in the other way': [
    () => story({ steps: ['inbox', { branch: { if: '!data.fast', then: ['inbox'], else: ['email'] } }] }),
    'Step 1 (inbox) was sent on its way: nobody switched it off. Step 2 (branch) was passed: !data.fast is false. Step 1 in the other way of step 2 (email) was sent on its way: nobody switched it off; to the mailbox. The run is complete.',
  ],
  'a cohort': [
    () => story({ steps: [{ experiment: { cohorts: [{ name: 'all', share: 100, steps: ['inbox'] }] } }] }),
    'Step 1 (experiment) was passed: in the cohort "all". Step 1 in the cohort "all" of step 1 (inbox) was sent on its way: nobody switched it off. The run is complete.',
  ],
  'a preference': [
    () =>
      story(
        { category: 'rides', steps: ['push'] },
        { person: { preferences: [{ category: 'rides', channel: null, enabled: false }] } },
      ),
    'Step 1 (push) was skipped: the person has category "rides" off. The run was skipped (UNSUBSCRIBED).',
  ],
  'no address': [
    () => story({ steps: ['email'] }, { person: { user: { email: null } } }),
    'Step 1 (email) was skipped: the recipient has no e-mail address. The run was skipped (NO_ADDRESS).',
  ],
  'a cap': [
    () => story({ steps: ['inbox', 'push'] }, { person: { used: capped() } }),
    'Step 1 (inbox) was sent on its way: nobody switched it off. Step 2 (push) was skipped: a frequency cap decided: 9 of at most 1 per 1d have gone out; it is left to the inbox. The run is complete.',
  ],
  'a throttle': [
    () =>
      story(
        { steps: [{ throttle: { count: 1, per: '1h' } }, 'push'] },
        { person: { used: { throttles: new Set([0]) } } },
      ),
    "Step 1 (throttle) was skipped: the workflow's throttle decided: the limit of 1 per 1h is used up. Step 2 (push) was skipped: the workflow's throttle decided: the limit of 1 per 1h is used up. The run was skipped (THROTTLED).",
  ],
  'a condition': [
    () => story({ steps: [{ push: { if: '!data.fast' } }] }),
    "Step 1 (push) was skipped: the step's condition !data.fast is false. The run was skipped (CONDITION_FALSE).",
  ],
  'a suspended person': [
    () => story({ steps: ['inbox'] }, { person: { user: { status: 'suspended' } } }),
    'Step 1 (inbox) was skipped: the recipient is suspended. The run was skipped (NO_RECIPIENT).',
  ],
  'a wait for an event': [
    () => story({ steps: [paid, 'inbox'] }, { awaits: { type: 'rides.ride.paid.v1', key: 'r1' } }),
    'Step 1 (wait) began to wait: waits for rides.ride.paid.v1, at most 1h, until 2026-11-21T13:00:00.000Z. The run waits for the event rides.ride.paid.v1 with the key "r1" until 2026-11-21T13:00:00.000Z.',
  ],
  'what woke it': [
    () =>
      story(
        { steps: [paid, 'inbox'] },
        {
          later: again(
            { steps: [paid, 'inbox'] },
            {
              from: 1,
              at: NOW + 60_000,
              person: { awaited: { type: 'rides.ride.paid.v1', key: '', data: {}, at: NOW + 50_000 } },
            },
          ),
          woken: [{ type: 'rides.ride.paid.v1', id: 'p1', at: NOW + 50_000 }],
        },
      ),
    'Step 1 (wait) began to wait: waits for rides.ride.paid.v1, at most 1h, until 2026-11-21T13:00:00.000Z. The run went on: the event rides.ride.paid.v1 (p1) came, for which it waited. Step 2 (inbox) was sent on its way: nobody switched it off. The run is complete.',
  ],
  'a wait that was over': [
    () => story({ steps: [paid, 'inbox'] }, { later: again({ steps: [paid, 'inbox'] }, { from: 1 }) }),
    'Step 1 (wait) began to wait: waits for rides.ride.paid.v1, at most 1h, until 2026-11-21T13:00:00.000Z. The run went on: its wait was over. Step 2 (inbox) was sent on its way: nobody switched it off. The run is complete.',
  ],
  'quiet hours': [
    () => story({ steps: ['push'] }, { person: { user: { timezone: 'UTC' }, quietHours: quiet } }),
    "Step 1 (push) is held until 2026-11-21T14:00:00.000Z: the person's quiet hours last until 14:00 (UTC). Step 1 (push) is held: the person's quiet hours last until 14:00 (UTC).",
  ],
  'a cancel': [
    () =>
      story(
        { steps: [{ wait: '1h' }, 'push'] },
        {
          later: again(
            { steps: [{ wait: '1h' }, 'push'] },
            { from: 1, at: NOW + 1_500, person: { cancelledAt: NOW + 1_000 } },
          ),
          cancelled: { key: 'r1', at: NOW + 1_000, by: 'the API key k1' },
        },
      ),
    'Step 1 (wait) began to wait: waits 1h, until 2026-11-21T13:00:00.000Z. A cancel came: the API key k1 cancelled the key "r1". The run went on: it was cancelled. Step 2 (push) was skipped: it was cancelled at 2026-11-21T12:00:01.000Z. The run was cancelled (CANCELLED).',
  ],
  'a digest': [
    () =>
      story(
        { steps: [{ digest: { window: '1h' } }, 'email'] },
        { digest: { id: 'dg', story: { text: 'A digest opened.', reasons: [] } } },
      ),
    'Step 1 (digest) gathers: goes into the digest. It went into the digest dg, which has a story of its own. A digest opened.',
  ],
}

for (const [name, [told, expected]] of Object.entries(STORIES)) {
  t.test(`the story of ${name}`, async (t) => {
    t.equal(told(), expected)
  })
}

t.test('every skip of every plan is in the story with its sentence and its reason', async (t) => {
  const steps = fc.array(fc.constantFrom('inbox', 'push', 'email', 'sms', { push: { if: '!data.fast' } }), {
    minLength: 1,
    maxLength: 6,
  })
  const people = fc.record(
    {
      preferences: fc.constant([{ category: 'rides', channel: null, enabled: false }]),
      seenAt: fc.constant(NOW - 1),
      cancelledAt: fc.constant(NOW - 1),
      used: fc.constant(capped()),
      user: fc.constant({ email: null }),
    },
    { requiredKeys: [] },
  )
  let cases = 0
  fc.assert(
    fc.property(steps, people, (written, person) => {
      const workflow = workflowOf({ category: 'rides', stop: 'seen', steps: written })
      const plan = planned({ event, workflow, facts: factsOf(person as Person) })
      const input: ExplainInput = {
        event: { type: event.type, id: event.id, source: event.source, seenAt: NOW },
        workflow,
        recipient: 'ada',
        state: plan.state,
        reason: plan.reason ?? null,
        passes: [plan],
        deliveries: [],
      }
      const { text, reasons } = explain(input)
      cases++
      const whole = plan.steps.every(
        (step) =>
          text.includes(step.detail) &&
          (step.reason === undefined || reasons.some(({ reason }) => reason === step.reason)),
      )
      return whole && JSON.stringify(explain(input)) === JSON.stringify({ text, reasons })
    }),
    { numRuns: 300 },
  )
  t.comment(`${cases} plans`)
})

t.test('the story of an event says who told, who did not and what is computed', async (t) => {
  const run = { id: 'n1', text: 'Workflow "a" version 1 matched it for ada.', reasons: [] }
  const workflows: WorkflowStory[] = [
    { key: 'a', version: 1, outcome: 'told', detail: '', runs: [run] },
    { key: 'b', version: 2, outcome: 'not told', reason: 'CONDITION_FALSE', detail: 'x is false', runs: [] },
    {
      key: 'c',
      version: 3,
      outcome: 'not told',
      reason: 'NO_RECIPIENT',
      detail: 'it names "bob"',
      computed: true,
      runs: [],
    },
  ]
  const { text, reasons } = explainEvent({
    event: { type: 'a.b', id: 'e1', source: '/s', seenAt: NOW },
    user: 'ada',
    known: true,
    workflows,
    others: 2,
  })
  t.equal(
    text,
    [
      'The event a.b (e1) arrived from /s at 2026-11-21T12:00:00.000Z.',
      'It told ada through workflow "a".',
      'Workflow "a" version 1 matched it for ada.',
      'Workflow "b" version 2 listened and did not match: x is false.',
      'Workflow "c" version 3 matched, but not for ada: it names "bob".',
      'Why ada was not meant is computed now, from the kept event and the version of then; roles, topics and attributes are those of today.',
      '2 other workflows that were in force then listen to other types than a.b.',
    ].join(' '),
  )
  t.same(
    reasons.map(({ reason }) => reason),
    [undefined, 'CONDITION_FALSE', 'NO_RECIPIENT'],
  )
})

t.test('whoever is meant through one of several groups is meant', async (t) => {
  const workflow = workflowOf({ to: '["bob", {"role": "customer"}, {"topic": "city.vienna"}]' })
  const judge = (roles: string[], topics: string[]) =>
    explainRecipient({
      event,
      selection: recipientsOf(event, workflow),
      to: 'it',
      person: {
        id: 'ada',
        known: {
          active: true,
          roles,
          topics,
          scope: userScope(factsOf().user, { locale: 'en', timezone: 'UTC' }),
        },
      },
    })
  t.match(judge(['customer'], []), { meant: true, detail: /holds today/ })
  for (const topic of ['city.vienna', 'city', 'city.vienna.south'])
    t.match(judge([], [topic]), { meant: true, detail: `ada hears "${topic}" today` })
  t.match(judge([], ['city.viennas']), { meant: false, detail: /names "bob", not "ada"; .*role.*; .*topic/ })
})

t.test('a version whose template is gone still names its steps and judges whom it meant', async (t) => {
  const { definition } = workflowOf({ steps: ['inbox', { email: { content: { subject: 'x' } } }] })
  const rules = compileRules({ ...definition, steps: ['inbox', { email: { template: 'gone' } }] }, 7)
  t.match([...stepNames(rules as NonNullable<typeof rules>).values()], ['step 1', 'step 2'])
  t.equal(compileRules({ ...definition, to: '((' }, 7), undefined)
})
