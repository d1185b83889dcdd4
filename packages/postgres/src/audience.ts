import { textArray } from './arrays.js'
import { PERSON, type UserRow } from './dispatch-facts.js'
import type { Tx } from './tx.js'

/** Who belongs to groups: the few of a small one at once, those of a large one by ranges of user ids. Worker role. */

/** Groups of one tenant; somebody who is in several belongs once. */
export interface Audience {
  tenant: string
  /** Whoever holds one of them. */
  roles: readonly string[]
  /** Whoever hears one of them: its subscribers, those of its parts (`T.…`) and those of what it is a part of. */
  topics: readonly string[]
  everyone: boolean
}

/** A user found by a group: the internal id, and the one that the tenant's services use. */
export interface Member {
  id: string
  externalId: string
}

/** User ids from the first to the last, both included. */
export interface IdRange {
  first: string
  last: string
}

/**
 * Active members, unless there are more than about `limit`: then `more` is true and the members are only some. It may be
 * true for fewer when people are in several groups.
 */
export async function listMembers(
  tx: Tx,
  audience: Audience,
  limit: number,
): Promise<{ members: Member[]; more: boolean }> {
  const branches = Object.entries({
    heard:
      audience.topics.length > 0 &&
      'SELECT user_id FROM subscriptions WHERE tenant_id = $1 AND topic = ANY ($2::text[])',
    below: audience.topics.length > 0 && BELOW,
    role: audience.roles.length > 0 && 'SELECT id FROM users WHERE tenant_id = $1 AND roles && $4::text[]',
    everyone: audience.everyone && 'SELECT id FROM users WHERE tenant_id = $1',
  }).filter((entry): entry is [string, string] => entry[1] !== false)
  if (branches.length === 0) return { members: [], more: false }
  const union = branches.map(
    ([name, text]) => `(SELECT '${name}', id FROM (${text} LIMIT $5) AS ${name} (id))`,
  )
  const { rows } = await tx.queryArrays<[string, string, string, boolean]>({
    text: `SELECT m.branch, u.id, u.external_id, u.status = 'active'
      FROM (${union.join(' UNION ALL ')}) AS m (branch, id), ${MEMBER}
      WHERE $2::text[] IS NOT NULL AND $3::text[] IS NOT NULL AND $4::text[] IS NOT NULL ORDER BY u.id`,
    values: [audience.tenant, ...groupArrays(audience), limit + 1],
  })
  const found = new Map<string, number>()
  const members = new Map<string, Member>()
  for (const [branch, id, externalId, active] of rows) {
    found.set(branch, (found.get(branch) ?? 0) + 1)
    if (active) members.set(id, { id, externalId })
  }
  const more = members.size > limit || [...found.values()].some((count) => count > limit)
  return { members: [...members.values()], more }
}

/** About how many belong to it: those who are in several groups count as often, suspended ones too. */
export async function estimateMembers(tx: Tx, audience: Audience): Promise<number> {
  const counts = [
    ...(audience.topics.length === 0
      ? []
      : [
          '(SELECT count(*) FROM subscriptions WHERE tenant_id = $1 AND topic = ANY ($2::text[]))',
          `(SELECT count(*) FROM (${BELOW}) AS below)`,
        ]),
    ...(audience.roles.length === 0
      ? []
      : ['(SELECT count(*) FROM users WHERE tenant_id = $1 AND roles && $4::text[])']),
    ...(audience.everyone ? ['(SELECT count(*) FROM users WHERE tenant_id = $1)'] : []),
  ]
  if (counts.length === 0) return 0
  const { rows } = await tx.queryArrays<[number]>({
    text: `SELECT (${counts.join(' + ')})::float8
      WHERE $1::text IS NOT NULL AND $2::text[] IS NOT NULL AND $3::text[] IS NOT NULL AND $4::text[] IS NOT NULL`,
    values: [audience.tenant, ...groupArrays(audience)],
  })
  return rows[0]?.[0] ?? 0
}

/** All active members whose id is in the range, by id. */
export async function membersInRange(tx: Tx, audience: Audience, range: IdRange): Promise<Member[]> {
  const branches = [
    audience.topics.length > 0 &&
      `SELECT user_id FROM subscriptions
       WHERE tenant_id = $1 AND user_id BETWEEN $5 AND $6 AND (topic = ANY ($2::text[]) OR topic ^@ ANY ($3::text[]))`,
    audience.roles.length > 0 &&
      'SELECT id FROM users WHERE tenant_id = $1 AND id BETWEEN $5 AND $6 AND roles && $4::text[]',
    audience.everyone && 'SELECT id FROM users WHERE tenant_id = $1 AND id BETWEEN $5 AND $6',
  ].filter((text) => text !== false)
  if (branches.length === 0) return []
  const { rows } = await tx.queryArrays<[string, string]>({
    text: `SELECT u.id, u.external_id FROM (${branches.join(' UNION ')}) AS m (id), ${MEMBER}
      WHERE u.status = 'active'
        AND $2::text[] IS NOT NULL AND $3::text[] IS NOT NULL AND $4::text[] IS NOT NULL ORDER BY u.id`,
    values: [audience.tenant, ...groupArrays(audience), range.first, range.last],
  })
  return rows.map(([id, externalId]) => ({ id, externalId }))
}

/** Active users in a range of ids, with what a segment is judged by; at most `limit` of them. */
export async function peopleInRange(
  tx: Tx,
  { tenant, range, limit }: { tenant: string; range: IdRange; limit?: number },
): Promise<UserRow[]> {
  const { rows } = await tx.query<UserRow>({
    text: `SELECT ${PERSON} FROM users u WHERE u.tenant_id = $1 AND u.id BETWEEN $2 AND $3 AND u.status = 'active'
      ORDER BY u.id LIMIT $4`,
    values: [tenant, range.first, range.last, limit ?? null],
  })
  return rows
}

/**
 * Each member by its key, always: the planner guesses ranges of uuids between nothing and everything, and then compared
 * every member with every user of the range, or read all users for each chunk.
 */
const MEMBER =
  'LATERAL (SELECT id, external_id, status FROM users WHERE tenant_id = $1 AND id = m.id LIMIT 1) AS u'

/** Subscriptions to parts of the topics, by `subscriptions_below`; "/" is the character after ".". */
const BELOW = `SELECT s.user_id FROM unnest($3::text[]) AS part, LATERAL (
    SELECT user_id FROM subscriptions WHERE tenant_id = $1 AND topic COLLATE "C" >= part
      AND topic COLLATE "C" < rtrim(part, '.') || '/'
  ) AS s`

/** Parameters $2 to $4: topics whose subscribers hear it, beginnings of the topics below, roles. */
function groupArrays({ topics, roles }: Audience): [string, string, string] {
  const heard = new Set(topics.flatMap(withWholes))
  return [textArray([...heard]), textArray(topics.map((topic) => `${topic}.`)), textArray(roles)]
}

/** A topic and everything that it is a part of: `city.vienna` → `city.vienna`, `city`. */
function withWholes(topic: string): string[] {
  const parts = topic.split('.')
  return parts.map((_, index) => parts.slice(0, index + 1).join('.'))
}
