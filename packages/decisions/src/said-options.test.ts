import t from 'tap'
import { eventOf, factsOf, NOW, planned, workflowOf } from './fixtures/facts.js'
import { type CompiledWorkflow, validateWorkflow } from './index.js'

const DATA = { customerId: 'ada', rideId: 'r-7', driver: 'Mira', minutes: 4 }
const EVENT = eventOf(DATA)
const contentOf = (workflow: CompiledWorkflow, changes: Partial<Parameters<typeof planned>[0]> = {}) =>
  planned({ event: EVENT, workflow, facts: factsOf(), ...changes }).content
const written = (content: object, step: unknown = 'push') => workflowOf({ content, steps: ['inbox', step] })

const OPTIONS = {
  priority: 'normal',
  badge: 'none',
  interruption: 'passive',
  relevanceScore: 0.5,
  unlessSeen: false,
  clearWhenSeen: false,
  dataOnly: true,
} as const

t.test('how a step is sent is kept with its run, and nothing where nothing is said', async (t) => {
  t.strictSame(contentOf(written({ title: 'T' })), { inbox: { title: 'T' } })
  t.strictSame(contentOf(written({ title: 'T' }, { push: OPTIONS })), {
    inbox: { title: 'T' },
    '1': { options: OPTIONS },
  })
  const options = (push: object, changes = {}) =>
    contentOf(written({ title: 'T' }, { push }), changes)['1']?.options
  t.strictSame(options({ ttl: '0s' }), { ttlSeconds: 0 })
  t.strictSame(options({ ttl: '1500ms' }), { ttlSeconds: 2 })
  t.strictSame(options({ ttl: '2h', silent: true }), { ttlSeconds: 7200, silent: true })
  t.strictSame(
    options({
      sound: '{{ data.driver | downcase }}.caf',
      channelId: 'rides',
      threadId: 'ride {{ data.rideId }}',
      analyticsLabel: '{{ event.type }}',
      collapseKey: '"ride " + data.rideId',
    }),
    {
      sound: 'mira.caf',
      channelId: 'rides',
      threadId: 'ride r-7',
      analyticsLabel: EVENT.type,
      collapseKey: 'ride r-7',
    },
  )
  t.strictSame(options({ sound: '{% if data.loud %}bell{% endif %}', collapseKey: 'data.none' }), {})
  t.strictSame(
    options({
      overrides: { fcm: { android: { ttl: 1, note: 'x' } }, apns: { aps: { alert: '{{ data.driver }}' } } },
    }),
    { overrides: { fcm: { android: { ttl: 1, note: 'x' } }, apns: { aps: { alert: 'Mira' } } } },
  )
  const held = contentOf(workflowOf({ steps: [{ push: { if: 'false', sound: 'x' } }, 'inbox'] }))
  t.strictSame(held, { inbox: { title: 'On the way' } }, 'a step that is skipped says nothing')
})

t.test('mails, texts and webhooks have options of their own', async (t) => {
  const workflow = workflowOf({
    content: { title: 'T', body: 'B' },
    steps: [
      { email: { replyTo: '{{ data.rideId }}@rides.example', overrides: { smtp: { priority: 'low' } } } },
      { sms: { overrides: { sms: { MaxPrice: '0.1' } } } },
      { webhook: { url: 'https://a.example/', overrides: { webhook: { data: { who: '{{ user.id }}' } } } } },
    ],
  })
  const content = contentOf(workflow, { facts: factsOf({ user: { phone: '+43660123456' } }) })
  t.strictSame(content['0'], {
    options: { replyTo: 'r-7@rides.example', overrides: { smtp: { priority: 'low' } } },
  })
  t.strictSame(content['1'], { options: { overrides: { sms: { MaxPrice: '0.1' } } } })
  t.strictSame(content['2'], { options: { overrides: { webhook: { data: { who: 'ada' } } } } })
})

t.test('a Live Activity tells its state, when that was so and how long it lasts', async (t) => {
  const workflow = workflowOf({
    steps: [
      {
        push: {
          liveActivity: {
            id: 'ride {{ data.rideId }}',
            event: 'start',
            attributesType: 'RideAttributes',
            attributes: { ride: '{{ data.rideId }}' },
            contentState: { driver: '{{ data.driver }}', minutes: 4 },
            staleAfter: '5m',
          },
        },
      },
      { wait: '10m' },
      { push: { liveActivity: { id: 'a', event: 'end', contentState: {}, dismissAfter: '1m' } } },
    ],
  })
  t.strictSame(contentOf(workflow)['0']?.options, {
    liveActivity: {
      id: 'ride r-7',
      event: 'start',
      contentState: { driver: 'Mira', minutes: 4 },
      attributesType: 'RideAttributes',
      attributes: { ride: 'r-7' },
      at: Date.parse(EVENT.time ?? ''),
      staleAt: NOW + 300_000,
    },
    unlessSeen: false,
  })
  const later = NOW + 600_000
  const woken = contentOf(workflow, { now: later, begunAt: NOW, fromStep: 2, resumeAt: later })
  t.match(woken['2']?.options, { liveActivity: { at: later, dismissAt: later + 60_000 } }, 'as it is then')
  const ahead = eventOf(DATA, { time: '2099-01-01T00:00:00Z' })
  t.match(
    contentOf(workflow, { event: ahead })['0']?.options,
    { liveActivity: { at: NOW } },
    'never in the future',
  )
})

const problemsOf = (part: object) => {
  const checked = validateWorkflow({
    key: 'w',
    on: 'a.b',
    to: 'data.who',
    content: { title: 'T' },
    steps: ['inbox'],
    ...part,
  })
  return checked.ok ? [] : checked.problems.map(({ path, message, remedy }) => `${path} ${message} ${remedy}`)
}
const activity = (part: object) => ({ push: { liveActivity: { id: 'a', contentState: {}, ...part } } })

t.test('what a channel has not is refused, and says which channel has it', async (t) => {
  const wrong: readonly [step: unknown, problem: RegExp][] = [
    [
      { email: { silent: true } },
      /^steps\.0\.email\.silent "silent" is an option of push, and email has nothing like it\. Remove it, or write it in a step of push\.$/,
    ],
    [{ sms: { badge: 1 } }, /^steps\.0\.sms\.badge "badge" is an option of push/],
    [{ push: { replyTo: 'a@b.example' } }, /^steps\.0\.push\.replyTo "replyTo" is an option of email/],
    [
      { inbox: { overrides: {} } },
      /^steps\.0\.inbox\.overrides "overrides" is an option of push and email and sms and webhook/,
    ],
    [
      { push: { loud: true } },
      /^steps\.0\.push\.loud push has no option "loud"\. Its options are if, .*sound/,
    ],
    [
      { webhook: { unlessOnline: true } },
      /^steps\.0\.webhook\.unlessOnline "unlessOnline" is an option of push and email and sms/,
    ],
    [{ sms: { unlessOnline: 'yes' } }, /^steps\.0\.sms\.unlessOnline .*Write true or false/],
    [{ push: { badge: 'many' } }, /^steps\.0\.push\.badge .*Write unread, none or a number/],
    [{ push: { ttl: 'soon' } }, /^steps\.0\.push\.ttl .*0s is now or never/],
    [{ push: { overrides: { smtp: {} } } }, /^steps\.0\.push\.overrides .*for fcm, apns, webpush/],
    [{ push: { interruption: 'loud' } }, /time-sensitive or critical/],
    [
      { push: { content: { actions: [{ title: 'x' }] } } },
      /^steps\.0\.push\.content\.actions .*at most five/,
    ],
    [{ push: { content: { titel: 'x' } } }, /^steps\.0\.push\.content\.titel Content has no "titel"/],
    [{ push: { silent: true, sound: 'x' } }, /^steps\.0\.push\.sound A silent push shows nothing/],
    [{ push: { ttl: '366d' } }, /^steps\.0\.push\.ttl 366d is longer/],
    [{ push: { collapseKey: 'data.' } }, /^steps\.0\.push\.collapseKey .*CEL/],
    [{ push: { sound: '{{ data.a' } }, /^steps\.0\.push\.sound .*Liquid/],
    [{ push: { overrides: { apns: { a: ['{{ x }}'] } } } }, /^steps\.0\.push\.overrides\.apns\.a\.0 /],
    [{ email: { replyTo: 'us' } }, /^steps\.0\.email\.replyTo It is no mail address/],
    [activity({ event: 'start' }), /^steps\.0\.push\.liveActivity\.attributesType /],
    [
      activity({ event: 'update', dismissAfter: '1m' }),
      /^steps\.0\.push\.liveActivity\.dismissAfter Only what ends/,
    ],
    [activity({ event: 'stop' }), /^steps\.0\.push\.liveActivity .*event: start, update or end/],
    [
      { push: { content: { data: { nid: 'x' } } } },
      /^steps\.0\.push\.content\.data\.nid .*"nid" is Carillon's own/,
    ],
    [{ push: { content: { data: { 'google.x': 'x' } } } }, /"google\.x" is the push services' own/],
    [
      {
        push: {
          content: {
            actions: [
              { id: 'a', title: 'A' },
              { id: 'a', title: 'B' },
            ],
          },
        },
      },
      /two buttons have the id "a"/,
    ],
    [{ push: { content: { data: { a: 'x\u0000' } } } }, /^steps\.0\.push\.content\.data\.a It holds control/],
    [{ push: { overrides: { fcm: { 'a\u0000': 1 } } } }, /control characters/],
    [
      { push: { content: { data: { a: Array(501).fill(0) } } } },
      /^steps\.0\.push\.content\.data .*holds too much/,
    ],
  ]
  for (const [step, problem] of wrong) t.match(problemsOf({ steps: [step] }), [problem], JSON.stringify(step))
  t.match(problemsOf({ content: { title: 'T', actions: Array(6).fill({ id: 'a', title: 'A' }) } }), [
    /^content\.actions /,
  ])
  t.match(problemsOf({ content: { title: 'T', replyTo: 'us' } }), [/^content\.replyTo /])
  t.match(
    problemsOf({ content: { body: 'B' }, steps: [activity({ event: 'start', attributesType: 'A' })] }),
    [/without a title/],
  )
})

t.test('a problem in a late step names that step in its words too', async (t) => {
  t.match(problemsOf({ steps: ['inbox', { push: { sound: '{{ nope }}' } }] }), [
    /^steps\.1\.push\.sound steps\.1\.push\.sound names "nope"/,
  ])
})

t.test('what shows nothing needs no words', async (t) => {
  for (const step of [
    { push: { silent: true, content: { data: { sync: '1' } } } },
    activity({ event: 'update' }),
    activity({ event: 'end', dismissAfter: '1m' }),
  ])
    t.strictSame(problemsOf({ content: undefined, steps: [step] }), [], JSON.stringify(step))
})
