import type { DomainEvent } from '@carillon/contracts'
import { counted, listed } from './explain-words.js'
import type { Group, RecipientSelection } from './recipients.js'
import { celScope, type UserScope } from './scope.js'

/** Somebody as the directory knows them today. */
export interface PersonToday {
  /** The id that the tenant's services use. */
  id: string
  /** Undefined when the directory doesn't know them. */
  known?: {
    active: boolean
    roles: readonly string[]
    topics: readonly string[]
    scope: UserScope
  }
}

export interface Meant {
  /** Whether the selection means the person, by the directory of today. */
  meant: boolean
  /** One sentence. */
  detail: string
}

/**
 * Whether a workflow that matched an event means somebody, and why not. Names come from the event as it was kept; roles,
 * topics and attributes are those of today. Pure.
 */
export function explainRecipient(input: {
  event: DomainEvent
  selection: RecipientSelection
  person: PersonToday
  /** How `to` is written. */
  to: string
}): Meant {
  const { selection, person, to } = input
  const { users, groups, excluded, problem } = selection
  if (excluded.has(person.id)) return no(`"exclude" names ${person.id}, who is left out`)
  const names = users.map((user) => (typeof user === 'string' ? user : user.id))
  if (names.includes(person.id)) return { meant: true, detail: `${to} names ${person.id}` }
  if (names.length + groups.length === 0) return no(problem ?? `${to} names nobody`)
  const verdicts = groups.map((group) => inGroup(group, input))
  const meant = verdicts.find((verdict) => verdict.meant)
  if (meant !== undefined) return meant
  const named = names.length === 0 ? [] : [`${to} names ${listed(names)}, not "${person.id}"`]
  return no([...named, ...verdicts.map(({ detail }) => detail)].join('; '))
}

function no(detail: string): Meant {
  return { meant: false, detail }
}

function inGroup(group: Group, { event, person }: { event: DomainEvent; person: PersonToday }): Meant {
  const { known, id } = person
  const text = `it is for ${groupText(group)}`
  if (known === undefined) return no(`${text}, and the directory knows no ${id} today`)
  if (!known.active) return no(`${text}, and ${id} is suspended today`)
  if (group.kind === 'everyone') return { meant: true, detail: `${text}, and ${id} is among them today` }
  if (group.kind === 'role') {
    if (known.roles.includes(group.role)) return { meant: true, detail: `${text}, which ${id} holds today` }
    const held = known.roles.length === 0 ? 'no role' : listed(known.roles)
    return no(`${text}, which ${id} does not hold today (${id} holds ${held})`)
  }
  if (group.kind === 'topic') {
    const heard = known.topics.find((topic) => hears(topic, group.topic))
    if (heard !== undefined) return { meant: true, detail: `${text}, and ${id} hears "${heard}" today` }
    const count = counted(known.topics.length, 'topic')
    return no(`${text}, to which ${id} is not subscribed today (${id} hears ${count})`)
  }
  const result = group.holds({ ...celScope(event), user: known.scope })
  if (!result.ok) return no(`${text}, which can't be judged for ${id}: ${result.problem}`)
  return result.value === true
    ? { meant: true, detail: `${text}, which holds for ${id} today` }
    : no(`${text}, which does not hold for ${id} today`)
}

function groupText(group: Group): string {
  if (group.kind === 'everyone') return 'everyone'
  if (group.kind === 'role') return `the role "${group.role}"`
  return group.kind === 'topic' ? `the topic "${group.topic}"` : `the segment ${group.segment}`
}

/** A subscriber of a topic hears what is sent to it, to its parts, and to what it is a part of. */
function hears(subscribed: string, topic: string): boolean {
  return subscribed === topic || subscribed.startsWith(`${topic}.`) || topic.startsWith(`${subscribed}.`)
}
