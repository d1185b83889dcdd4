// Microseconds for one event with ten workflows of which three match: match, recipients, plan with rendering.
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
const match = createMatcher(workflows)
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

const calendar = createCalendar()
let planned = 0
function judge(count) {
  for (let round = 0; round < count; round++) {
    // fresh data each time, as it comes from the wire
    const own = { ...event, data: { ...data, minutes: round % 60 } }
    for (const workflow of match(own).matched) {
      if (recipientsOf(own, workflow).users.length === 1)
        planned += plan({ event: own, workflow, facts, now: 1, calendar }).steps.length
    }
  }
}

const ROUNDS = 20_000
judge(ROUNDS)
for (let run = 0; run < 5; run++) {
  const begun = process.cpuUsage()
  judge(ROUNDS)
  const { user, system } = process.cpuUsage(begun)
  console.log(`${((user + system) / ROUNDS).toFixed(1)} µs CPU per event (three runs)`)
}
if (planned !== ROUNDS * 6 * 9) throw new Error(`${planned} steps were judged, not ${ROUNDS * 54}`)
