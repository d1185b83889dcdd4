import { type RecipientInput, userId } from '@carillon/contracts'
import {
  type Audience,
  estimateMembers,
  type InlineUser,
  listMembers,
  type Member,
  peopleInRange,
  type Tx,
  type UserRow,
} from '@carillon/postgres'
import { sha256 } from '@carillon/service'
import type { Assignment } from './assign.js'
import { type Fanout, fanoutOf, WHOLE_RANGE } from './fan-out/ranges.js'
import { audienceOf, notExcluded, peopleIn, segmentsOf } from './groups.js'
import type { TenantRules } from './rules.js'

/** One recipient of one assignment. `userId` is internal; `name` is the id that the tenant's services use. */
export interface Recipient {
  userId: string
  name: string
}

/** Who is told at once; nobody when they are too many for it. */
export interface Resolved {
  recipients: Recipient[]
  fanout?: Fanout
}

/** Internal ids of the recipients of a batch, and the users to create or complete on the way. */
export interface ResolvedRecipients {
  /** In the order of the assignments given. */
  resolved: Resolved[]
  inline: InlineUser[]
}

/** An audience up to this size is told in the transaction of its event; a larger one in chunks of about this size. */
const INLINE_LIMIT = 500

/** Resolves users and groups. Groups are read once per batch and tenant. */
export async function resolveRecipients(
  tx: Tx,
  assignments: readonly { rules: TenantRules; assignment: Assignment }[],
): Promise<ResolvedRecipients> {
  const inline = new Map<string, InlineUser>()
  const known = new Map<string, Promise<GroupPage>>()
  const resolved: Resolved[] = []
  for (const { rules, assignment } of assignments) {
    const { tenant } = rules
    const { users, groups } = assignment.recipients
    // nearly every event names its people itself, each once
    if (groups.length === 0 && users.length <= INLINE_LIMIT) {
      for (const user of users) collectInline(tenant, user, inline)
      resolved.push({ recipients: users.map((user) => identify(tenant, user)) })
      continue
    }
    const segments = segmentsOf(groups)
    const audience = audienceOf(tenant, groups)
    const name = JSON.stringify({ audience, people: segments.length > 0 })
    const page = known.get(name) ?? readGroups(tx, audience, segments.length > 0)
    known.set(name, page)
    const { members, people, more } = await page
    const named = users.map((user) => identify(tenant, user))
    const grouped = [...members, ...peopleIn(segments, people, { rules, event: assignment.event })]
    const recipients = distinct([...named, ...notExcluded(grouped, assignment.recipients).map(recipientOf)])
    if (more || recipients.length > INLINE_LIMIT) {
      const everyone = audience.everyone || segments.length > 0
      const estimated = more ? await estimateMembers(tx, { ...audience, everyone }) : 0
      const fanout = fanoutOf(Math.max(estimated, recipients.length), INLINE_LIMIT)
      resolved.push({ recipients: [], fanout })
      continue
    }
    for (const user of users) collectInline(tenant, user, inline)
    resolved.push({ recipients })
  }
  return { resolved, inline: [...inline.values()] }
}

interface GroupPage {
  members: Member[]
  people: UserRow[]
  /** There are more than are told at once; those above are only some. */
  more: boolean
}

const NOBODY: GroupPage = { members: [], people: [], more: false }

async function readGroups(tx: Tx, audience: Audience, withPeople: boolean): Promise<GroupPage> {
  const page = { ...NOBODY, ...(await listMembers(tx, audience, INLINE_LIMIT)) }
  if (page.more || !withPeople) return page
  const limit = INLINE_LIMIT + 1
  const people = await peopleInRange(tx, { tenant: audience.tenant, range: WHOLE_RANGE, limit })
  return { ...page, people, more: people.length === limit }
}

/** A recipient whom an event names. */
export function identify(tenant: string, user: RecipientInput): Recipient {
  const name = typeof user === 'string' ? user : user.id
  return { userId: userId(sha256, tenant, name), name }
}

export function recipientOf({ id, externalId }: Member): Recipient {
  return { userId: id, name: externalId }
}

/** Each person once; the first mention counts. */
export function distinct(recipients: readonly Recipient[]): Recipient[] {
  const found = new Map<string, Recipient>()
  for (const recipient of recipients) {
    if (!found.has(recipient.userId)) found.set(recipient.userId, recipient)
  }
  return [...found.values()]
}

/** What an event says of a recipient besides the id is kept; of several mentions each field's last. */
export function collectInline(tenant: string, user: RecipientInput, inline: Map<string, InlineUser>): void {
  if (typeof user === 'string') return
  const { id: externalId, ...fields } = user
  if (Object.keys(fields).length === 0) return
  const id = userId(sha256, tenant, externalId)
  const key = `${tenant} ${id}`
  inline.set(key, { ...inline.get(key), tenant, id, externalId, ...fields })
}
