import type { DomainEvent, RecipientInput } from '@carillon/contracts'
import type { CompiledWorkflow } from './compile.js'
import { celScope } from './match.js'
import { isStorable, storable } from './storable.js'

/** Whom a workflow wants to tell. Roles and topics are looked up by who has the directory. */
export type RecipientSelection =
  | { kind: 'users'; users: RecipientInput[] }
  | { kind: 'role'; role: string }
  | { kind: 'topic'; topic: string }
  | { kind: 'none'; reason: 'NO_RECIPIENT'; detail: string }

/** Judges `to`. Users are deduplicated by id; the first mention counts. */
export function recipientsOf(event: DomainEvent, workflow: CompiledWorkflow): RecipientSelection {
  const to = workflow.definition.to
  if (typeof to !== 'string')
    return 'role' in to ? { kind: 'role', role: to.role } : { kind: 'topic', topic: to.topic }
  const result = workflow.to?.(celScope(event))
  if (result === undefined || !result.ok) {
    return none(`${to} could not be judged: ${result?.problem ?? 'it is not an expression'}`)
  }
  const list = Array.isArray(result.value) ? result.value : [result.value]
  const users = new Map<string, RecipientInput>()
  for (const value of list) {
    const recipient = toRecipient(value)
    if (recipient === undefined) continue
    const id = typeof recipient === 'string' ? recipient : recipient.id
    if (!users.has(id)) users.set(id, recipient)
  }
  return users.size === 0 ? none(`${to} names nobody`) : { kind: 'users', users: [...users.values()] }
}

/** Most characters of what identifies a recipient on the way. */
const INLINE = { email: 320, phone: 32, name: 256, locale: 35, timezone: 64 } as const
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
    if (typeof text === 'string' && text.length <= longest) recipient[field] = storable(text)
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

function none(detail: string): RecipientSelection {
  return { kind: 'none', reason: 'NO_RECIPIENT', detail }
}
