import { durationMs, eventSubject, userId } from '@carillon/contracts'
import type { Database } from '@carillon/postgres'
import { sha256 } from '@carillon/service'

/** What the dispatch suite judges: ten workflows of which three match, people in two locales with preferences. */

export const TENANT = 'bench'
const TYPE = 'rides.ride.accepted.v1'
const USERS = 2_000
/** Runs that one event begins: inbox and push, inbox alone, and inbox before a wait. */
export const RUNS_PER_EVENT = 3

const accepted = {
  on: TYPE,
  if: 'data.city != "test"',
  to: 'data.customerId',
  category: 'rides',
  content: { title: '{{ data.driver }} is on the way', body: '{{ data.car }}, {{ data.minutes }} min' },
  locales: {
    de: { title: '{{ data.driver }} ist unterwegs', body: '{{ data.car }}, {{ data.minutes }} Min.' },
  },
}

const WORKFLOWS = [
  { ...accepted, key: 'ride-accepted', expires: '1h', collapse: 'data.rideId', steps: ['inbox', 'push'] },
  { ...accepted, key: 'ride-log', steps: ['inbox'] },
  { ...accepted, key: 'ride-followed', stop: 'seen', steps: ['inbox', { wait: '1d' }, 'email'] },
  { ...accepted, key: 'ride-graz', if: 'data.city == "graz"', steps: ['inbox'] },
  { ...accepted, key: 'ride-late', if: 'data.minutes > 30', steps: ['inbox', 'email'] },
  { ...accepted, key: 'ride-shared', if: 'has(data.shared) && data.shared', steps: ['push'] },
  ...['requested', 'arrived', 'completed', 'paid'].map((state) => ({
    ...accepted,
    key: `ride-${state}`,
    on: `rides.ride.${state}.v1`,
    steps: ['inbox', 'push'],
  })),
]

export async function arrange(owner: Database): Promise<void> {
  const now = Date.now()
  const clock = (inMs: number) => new Date(now + inMs).toISOString().slice(11, 16)
  // quiet hours are judged for every push, and are never now: what is written must not depend on the time of day
  const quiet = {
    windows: [{ from: clock(durationMs('8h') as number), to: clock(durationMs('14h') as number) }],
    channels: ['push', 'sms', 'email'],
  }
  await owner.query({
    text: `INSERT INTO tenants (id, name, quiet_hours) VALUES ($1, $1, $2)`,
    values: [TENANT, JSON.stringify(quiet)],
  })
  await owner.query({
    text: `INSERT INTO categories (tenant_id, key, name, defaults) VALUES ($1, 'rides', 'Rides', '{"push": true}')`,
    values: [TENANT],
  })
  for (const workflow of WORKFLOWS) {
    await owner.query({
      text: 'INSERT INTO workflows (tenant_id, key, version, definition) VALUES ($1, $2, 1, $3)',
      values: [TENANT, workflow.key, JSON.stringify(workflow)],
    })
  }
  const names = Array.from({ length: USERS }, (_, index) => `u${index}`)
  await owner.query({
    text: `INSERT INTO users (tenant_id, id, external_id, name, email, locale, timezone)
      SELECT $1, i, n, n, n || '@example.com', CASE WHEN n < 'u5' THEN 'de-AT' ELSE 'en-GB' END, 'UTC' FROM unnest($2::uuid[], $3::text[]) AS k (i, n)`,
    values: [TENANT, names.map((name) => userId(sha256, TENANT, name)), names],
  })
  await owner.query({
    text: `INSERT INTO devices (tenant_id, id, user_id, kind, address, address_hash)
      SELECT tenant_id, gen_random_uuid(), id, 'fcm', '{"token":"t"}', uuid_send(id) FROM users`,
  })
  await owner.query({
    text: `INSERT INTO preferences (tenant_id, user_id, category, channel, enabled)
      SELECT tenant_id, id, 'rides', c, true FROM users, unnest(ARRAY['push', 'email']) AS c`,
  })
  await owner.query({ text: 'ANALYZE' })
}

export function benchEvent(id: string, index: number) {
  return {
    subject: eventSubject('normal', TENANT, TYPE),
    headers: { 'ce-specversion': '1.0', 'ce-id': id, 'ce-source': '/bench', 'ce-type': TYPE },
    body: JSON.stringify({
      rideId: `ride-${index}`,
      customerId: `u${index % USERS}`,
      driver: 'Mira',
      car: 'blue Ioniq, W-4711',
      minutes: 4,
      city: 'vienna',
    }),
  }
}
