import type { DomainEvent } from '@carillon/contracts'
import { celScope, type Group, type RecipientSelection, userScope } from '@carillon/decisions'
import type { Audience, Member, UserRow } from '@carillon/postgres'
import type { TenantRules } from './rules.js'

type Segment = Extract<Group, { kind: 'segment' }>

/** Groups as the database finds them; segments are judged here, since they are CEL. */
export function audienceOf(tenant: string, groups: readonly Group[]): Audience {
  return {
    tenant,
    roles: groups.flatMap((group) => (group.kind === 'role' ? [group.role] : [])),
    topics: groups.flatMap((group) => (group.kind === 'topic' ? [group.topic] : [])),
    everyone: groups.some((group) => group.kind === 'everyone'),
  }
}

export function segmentsOf(groups: readonly Group[]): Segment[] {
  return groups.filter((group) => group.kind === 'segment')
}

/** Those of the people in whose favour one of the segments is judged. What can't be judged doesn't hold. */
export function peopleIn(
  segments: readonly Segment[],
  people: readonly UserRow[],
  { rules, event }: { rules: TenantRules; event: DomainEvent },
): Member[] {
  if (segments.length === 0) return []
  const scope = celScope(event)
  return people.filter((person) => {
    const attributes = person.attributes as Record<string, unknown>
    const user = userScope({ ...person, attributes }, rules)
    return segments.some(({ holds }) => {
      const result = holds({ ...scope, user })
      return result.ok && result.value === true
    })
  })
}

/** The members that a selection doesn't exclude. */
export function notExcluded(members: readonly Member[], { excluded }: RecipientSelection): Member[] {
  return members.filter((member) => !excluded.has(member.externalId))
}
