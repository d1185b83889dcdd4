import { type DomainEvent, isTopic, type RecipientInput } from '@carillon/contracts'
import type { Expression } from './cel.js'
import type { CompiledWorkflow } from './compile.js'
import { celScope } from './scope.js'
import { isStorable, storable } from './storable.js'

/** A group of people, looked up by who has the directory. */
export type Group =
  | { kind: 'role'; role: string }
  | { kind: 'topic'; topic: string }
  /** `holds` is judged with the user in scope. */
  | { kind: 'segment'; segment: string; holds: Expression }
  | { kind: 'everyone' }

/** Whom a workflow wants to tell. Somebody who is in several groups is told once. */
export interface RecipientSelection {
  users: RecipientInput[]
  groups: Group[]
  /** External ids of those who aren't told. */
  excluded: ReadonlySet<string>
  /** Why nobody is meant, when nobody is. */
  problem?: string
}

const NOBODY: ReadonlySet<string> = new Set()

/** Judges `to` and `exclude`. Users are deduplicated by id; the first mention counts. */
export function recipientsOf(event: DomainEvent, workflow: CompiledWorkflow): RecipientSelection {
  const excluded = excludedBy(event, workflow)
  if (workflow.audience !== undefined) return { users: [], groups: [workflow.audience], excluded }
  const result = workflow.to?.(celScope(event))
  const to = String(workflow.definition.to)
  if (result === undefined || !result.ok) {
    const problem = `${to} could not be judged: ${result?.problem ?? 'it is not an expression'}`
    return { users: [], groups: [], excluded, problem }
  }
  const selection = selectionOf(result.value, excluded)
  if (selection.users.length + selection.groups.length > 0) return selection
  return { ...selection, problem: excluded.size === 0 ? `${to} names nobody` : `${to} names nobody else` }
}

/** One recipient or group, or a list of them; what is neither is left out. Excluded ones are taken out. */
export function selectionOf(value: unknown, excluded: ReadonlySet<string> = NOBODY): RecipientSelection {
  const users = new Map<string, RecipientInput>()
  const groups = new Map<string, Group>()
  for (const entry of Array.isArray(value) ? value : [value]) {
    const group = toGroup(entry)
    if (group !== undefined) groups.set(JSON.stringify(group), group)
    const recipient = group === undefined ? toRecipient(entry) : undefined
    if (recipient === undefined) continue
    const id = typeof recipient === 'string' ? recipient : recipient.id
    if (!users.has(id) && !excluded.has(id)) users.set(id, recipient)
  }
  return { users: [...users.values()], groups: [...groups.values()], excluded }
}

function excludedBy(event: DomainEvent, workflow: CompiledWorkflow): ReadonlySet<string> {
  if (workflow.exclude === undefined) return NOBODY
  const result = workflow.exclude(celScope(event))
  if (!result.ok) return NOBODY
  const values = Array.isArray(result.value) ? result.value : [result.value]
  return new Set(values.map(toId).filter((id) => id !== undefined))
}

/** What an event may name as a group. Segments are written in workflows, never in events. */
function toGroup(value: unknown): Group | undefined {
  if (typeof value !== 'object' || value === null || Object.hasOwn(value, 'id')) return undefined
  const { role, topic, everyone } = value as { role?: unknown; topic?: unknown; everyone?: unknown }
  if (typeof role === 'string' && role !== '' && role.length <= MAX_ROLE) return { kind: 'role', role }
  if (typeof topic === 'string' && isTopic(topic)) return { kind: 'topic', topic }
  return everyone === true ? { kind: 'everyone' } : undefined
}

/** Most characters of what identifies a recipient on the way. */
const INLINE = { email: 320, phone: 32, name: 256, locale: 35, timezone: 64 } as const
/** A number with its country (ITU-T E.164). */
const E164 = /^\+[1-9][0-9]{6,14}$/
const MAX_ID = 256
const MAX_ROLES = 50
const MAX_ROLE = 64

/** Undefined for what is no recipient. An inline field that can't be kept is left out; an id is kept as it is or not at all. */
function toRecipient(value: unknown): RecipientInput | undefined {
  if (typeof value !== 'object' || value === null) return toId(value)
  const fields = value as Record<string, unknown>
  const id = Object.hasOwn(fields, 'id') ? toId(fields.id) : undefined
  if (id === undefined) return undefined
  const recipient: Exclude<RecipientInput, string> = { id }
  for (const [field, longest] of Object.entries(INLINE) as [keyof typeof INLINE, number][]) {
    const text = Object.hasOwn(fields, field) ? fields[field] : undefined
    if (typeof text !== 'string' || text.length > longest) continue
    // a number that no network knows must not take the place of one that it does
    if (field !== 'phone' || E164.test(text)) recipient[field] = storable(text)
  }
  if (Object.hasOwn(fields, 'roles') && Array.isArray(fields.roles)) {
    recipient.roles = fields.roles
      .filter(
        (role): role is string => typeof role === 'string' && role.length <= MAX_ROLE && isStorable(role),
      )
      .slice(0, MAX_ROLES)
  }
  return recipient
}

function toId(value: unknown): string | undefined {
  const id = typeof value === 'number' || typeof value === 'bigint' ? String(value) : value
  return typeof id === 'string' && id !== '' && id.length <= MAX_ID && isStorable(id) ? id : undefined
}
