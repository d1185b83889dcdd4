import { userId } from '@carillon/contracts'
import type { Database } from '@carillon/postgres'
import { sha256 } from '@carillon/service'

export const TENANT = 'bench'
/** Who hears of the high lane's events. */
export const CALLER = 'caller'
export const CALLER_ID = userId(sha256, TENANT, CALLER)
/** Who hears of ordinary events during a flood. */
export const RIDERS = 2_000

/** Topics, and which share of all users subscribed to them. */
export const TOPICS = { all: 1, quarter: 0.25, warm: 0.02 } as const
export type Audience = keyof typeof TOPICS

const CONTENT = {
  content: { title: 'Closed on Sunday, {{ data.city }}', body: 'We are back on {{ data.day }}.' },
  locales: { de: { title: 'Sonntag geschlossen, {{ data.city }}', body: 'Zurück am {{ data.day }}.' } },
}

const WORKFLOWS = [
  {
    key: 'inbox',
    on: 'news.inbox.v1',
    to: 'data.to',
    category: 'news',
    lane: 'bulk',
    ...CONTENT,
    steps: ['inbox'],
  },
  {
    key: 'push',
    on: 'news.push.v1',
    to: 'data.to',
    category: 'news',
    lane: 'bulk',
    ...CONTENT,
    steps: ['inbox', 'push'],
  },
  {
    key: 'code',
    on: 'code.v1',
    to: 'data.user',
    lane: 'high',
    content: { title: '{{ data.code }}' },
    steps: ['inbox'],
  },
  {
    key: 'ride',
    on: 'ride.v1',
    to: 'data.user',
    content: { title: 'Ride {{ data.ride }}' },
    steps: ['inbox'],
  },
]

/** Rows inserted by one statement. */
const TOGETHER = 100_000

/**
 * A tenant with `users` people, each with a device, and their subscriptions. Ids are uniform, as derived ones are.
 * `token` is that of every device.
 */
export async function arrange(owner: Database, users: number, token = 't'): Promise<void> {
  const run = (text: string, values: unknown[]) => owner.query({ text, values })
  await run('INSERT INTO tenants (id, name) VALUES ($1, $1)', [TENANT])
  await run(`INSERT INTO categories (tenant_id, key, name) VALUES ($1, 'news', 'News')`, [TENANT])
  for (const workflow of WORKFLOWS) {
    await run('INSERT INTO workflows (tenant_id, key, version, definition) VALUES ($1, $2, 1, $3)', [
      TENANT,
      workflow.key,
      JSON.stringify(workflow),
    ])
  }
  for (let from = 0; from < users; from += TOGETHER) {
    await run(
      `INSERT INTO users (tenant_id, id, external_id, name, email, locale)
       SELECT $1, gen_random_uuid(), 'u' || n, 'User ' || n, 'u' || n || '@example.com', CASE WHEN n % 3 = 0 THEN 'de-AT' ELSE 'en-GB' END
       FROM generate_series($2::int, $3::int - 1) AS n`,
      [TENANT, from, Math.min(from + TOGETHER, users)],
    )
  }
  await run(
    `INSERT INTO devices (tenant_id, id, user_id, kind, address, address_hash)
     SELECT tenant_id, gen_random_uuid(), id, 'fcm', $2, uuid_send(id) FROM users WHERE tenant_id = $1`,
    [TENANT, JSON.stringify({ token })],
  )
  for (const [topic, share] of Object.entries(TOPICS)) {
    await run(
      `INSERT INTO subscriptions (tenant_id, topic, user_id)
       SELECT tenant_id, $2, id FROM users WHERE tenant_id = $1 AND substr(external_id, 2)::int < $3`,
      [TENANT, topic, Math.ceil(users * share)],
    )
  }
  const named = [CALLER, ...Array.from({ length: RIDERS }, (_, index) => `rider${index}`)]
  await run(
    'INSERT INTO users (tenant_id, id, external_id) SELECT $1, i, n FROM unnest($2::uuid[], $3::text[]) AS k (i, n)',
    [TENANT, named.map((name) => userId(sha256, TENANT, name)), named],
  )
  await owner.query({ text: 'VACUUM ANALYZE users, subscriptions, devices' })
  await owner.query({ text: 'CHECKPOINT' })
}
