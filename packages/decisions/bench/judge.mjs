// Microseconds for one event with ten workflows of which three match: match, recipients, plan with rendering. Once with
// nothing to look at, once with preferences, quiet hours and readers of two locales, once with a filter in the texts too.
// Run by hand after a build: node bench/judge.mjs
import { compileWorkflow, createCalendar, createMatcher, plan, recipientsOf } from '../dist/src/index.js'

const data = {
  city: 'vienna',
  who: 'ada',
  driver: 'Mira',
  car: 'blue Ioniq',
  minutes: 4,
  kind: 1,
  amount: 14.5,
}
const event = {
  tenant: 'demo',
  lane: 'high',
  id: 'e',
  source: '/rides',
  type: 'rides.ride.accepted.v1',
  time: undefined,
  subject: undefined,
  data,
  dataJson: JSON.stringify(data),
  traceparent: undefined,
}
const workflows = Array.from({ length: 10 }, (_, index) =>
  compileWorkflow(
    {
      key: `w-${index}`,
      on: event.type,
      if: index < 3 ? 'data.city != "test"' : `data.kind == ${index + 10}`,
      to: 'data.who',
      expires: '1h',
      collapse: 'data.who',
      content: { title: '{{ data.driver }} is on the way', body: '{{ data.car }}, {{ data.minutes }} min' },
      steps: ['inbox', 'push', 'email'],
    },
    { version: 1 },
  ),
)
const user = {
  id: 'u',
  externalId: 'ada',
  email: 'a@example.com',
  phone: null,
  name: 'Ada',
  locale: 'en',
  timezone: null,
  roles: [],
  attributes: {},
  status: 'active',
}
const facts = {
  user,
  devices: [{ id: 'd', kind: 'fcm', app: 'customer', status: 'active' }],
  category: null,
  preferences: [],
  tenantDefaults: [],
  quietHours: null,
  seenAt: null,
  cancelledAt: null,
  tenantLocale: 'en',
  tenantTimezone: 'UTC',
}

const MONEY = ', {{ data.amount | money: "EUR" }}'
/** In English and German; `more` is said after both. */
const speaking = (more) =>
  workflows.map(({ definition }) => {
    const body = `{{ data.car }}, {{ data.minutes }} min${more}`
    const german = { title: '{{ data.driver }} ist unterwegs', body }
    const content = { ...definition.content, body }
    return compileWorkflow(
      { ...definition, category: 'rides', content, locales: { de: german } },
      { version: 1 },
    )
  })
const preferring = {
  ...facts,
  category: { key: 'rides', name: 'Rides', critical: false, defaults: { push: true, email: true } },
  preferences: [
    { category: 'rides', channel: null, enabled: true },
    { category: null, channel: 'sms', enabled: false },
    { category: 'offers', channel: null, enabled: false },
  ],
  tenantDefaults: [{ category: null, channel: 'email', enabled: true }],
  quietHours: { windows: [{ from: '22:00', to: '07:00' }], channels: ['push', 'email', 'sms'], by: 'person' },
}
const readers = [
  { ...preferring, user: { ...user, locale: 'de-AT', timezone: 'Europe/Vienna' } },
  { ...preferring, user: { ...user, locale: 'en-GB', timezone: 'Europe/London' } },
]

const NOON = Date.UTC(2026, 10, 21, 12)
const ROUNDS = 20_000
const RUNS_OF_ONE = 3
const calendar = createCalendar()

function measure(name, compiled, known, about) {
  const match = createMatcher(compiled)
  let delivered = 0
  const judge = (count) => {
    for (let round = 0; round < count; round++) {
      // fresh data each time, as it comes from the wire
      const own = { ...event, ...about, data: { ...data, minutes: round % 60 } }
      for (const workflow of match(own).matched) {
        if (recipientsOf(own, workflow).users.length !== 1) throw new Error('nobody is meant')
        const input = {
          event: own,
          workflow,
          facts: known[round % known.length],
          now: NOON + round,
          calendar,
        }
        for (const { outcome } of plan(input).steps) if (outcome === 'deliver') delivered++
      }
    }
  }
  judge(ROUNDS)
  for (let run = 0; run < 5; run++) {
    const begun = process.cpuUsage()
    judge(ROUNDS)
    const { user, system } = process.cpuUsage(begun)
    const each = (user + system) / ROUNDS
    console.log(`${each.toFixed(1)} µs CPU per event, ${(each / RUNS_OF_ONE).toFixed(1)} per run: ${name}`)
  }
  if (delivered !== ROUNDS * 6 * 9) throw new Error(`${delivered} steps were delivered, not ${ROUNDS * 54}`)
}

measure('nothing to look at', workflows, [facts], {})
// a lane that quiet hours hold, so that they are asked
const BY_DAY = { lane: 'normal' }
measure('preferences, quiet hours, two locales', speaking(''), readers, BY_DAY)
measure('the same, and money as the reader writes it', speaking(MONEY), readers, BY_DAY)
