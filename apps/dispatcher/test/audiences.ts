import { userId } from '@carillon/contracts'
import { backlogOf } from '@carillon/jetstream'
import { sha256 } from '@carillon/service'
import { eventually } from '@carillon/testkit'
import { type Mesh, TENANT } from './support.js'

export interface Person {
  name: string
  topics?: string[]
  roles?: string[]
  attributes?: Record<string, unknown>
  status?: 'active' | 'suspended'
}

/** Many who are alike. */
export const people = (prefix: string, count: number, rest: Omit<Person, 'name'> = {}): Person[] =>
  Array.from({ length: count }, (_, index) => ({ name: `${prefix}${index}`, ...rest }))

export async function putPeople(mesh: Mesh, list: readonly Person[]): Promise<void> {
  const rows = list.map(({ name, roles = [], attributes = {}, status = 'active' }) => {
    return { id: userId(sha256, TENANT, name), name, roles, attributes, status }
  })
  await mesh.rows(
    `INSERT INTO users (tenant_id, id, external_id, roles, attributes, status)
     SELECT $1, id, name, roles, attributes, status
     FROM jsonb_to_recordset($2) AS r (id uuid, name text, roles text[], attributes jsonb, status text)`,
    [TENANT, JSON.stringify(rows)],
  )
  const subscriptions = list.flatMap(({ name, topics = [] }) =>
    topics.map((topic) => ({ topic, id: userId(sha256, TENANT, name) })),
  )
  await mesh.rows(
    `INSERT INTO subscriptions (tenant_id, topic, user_id) SELECT $1, topic, id
     FROM jsonb_to_recordset($2) AS r (topic text, id uuid)`,
    [TENANT, JSON.stringify(subscriptions)],
  )
  await mesh.rows('ANALYZE users, subscriptions')
}

/** Tells the `to` of its event. */
export const workflow = (more: Record<string, unknown> = {}) => ({
  key: 'news',
  on: 'a.b.v1',
  to: 'data.to',
  content: { title: 'News', body: '{{ data.text | default: "x" }}' },
  steps: ['inbox'],
  ...more,
})

/** Resolves once the rows of all fan-outs are written. */
export const finished = (mesh: Mesh, count: number, timeoutMs = 60_000) =>
  eventually(
    async () => {
      const rows = await mesh.rows<{ n: number }>(
        'SELECT count(*)::int AS n FROM fanouts WHERE finished_at IS NOT NULL AND due_at IS NULL',
      )
      return rows[0]?.n === count
    },
    { timeoutMs },
  )

/** A fan-out is finished once its rows are committed; its last chunks may be on their way to their queues still. */
export const allHandled = (mesh: Mesh) =>
  eventually(async () => {
    const { waiting, inFlight } = await backlogOf(mesh.connection, {
      stream: 'JOBS_FANOUT',
      durable: 'fanout-normal',
    })
    return waiting + inFlight === 0
  })

/** Recipients of an event, by name. */
export async function told(mesh: Mesh, event: string): Promise<string[]> {
  const rows = await mesh.rows<{ recipient: string }>(
    'SELECT r.recipient FROM runs r JOIN events e ON e.id = r.event_id WHERE e.event_id = $1 ORDER BY r.recipient',
    [event],
  )
  return rows.map((row) => row.recipient)
}

export const names = (list: readonly Person[]) => list.map(({ name }) => name).sort()

export async function outcome(mesh: Mesh, event: string): Promise<unknown> {
  return (await mesh.rows<{ outcome: unknown }>('SELECT outcome FROM events WHERE event_id = $1', [event]))[0]
    ?.outcome
}
