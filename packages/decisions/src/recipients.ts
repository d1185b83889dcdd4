import type { DomainEvent, RecipientInput } from '@carillon/contracts'
import type { CompiledWorkflow } from './compile.js'
import { celScope } from './match.js'

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

const INLINE = ['email', 'phone', 'name', 'locale', 'timezone'] as const
const MAX_ID = 256

function toRecipient(value: unknown): RecipientInput | undefined {
  if (typeof value === 'string') return value !== '' && value.length <= MAX_ID ? value : undefined
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return undefined
  const fields = value as Record<string, unknown>
  const id = typeof fields.id === 'number' ? String(fields.id) : fields.id
  if (typeof id !== 'string' || id === '' || id.length > MAX_ID) return undefined
  const recipient: Exclude<RecipientInput, string> = { id }
  for (const field of INLINE) {
    const text = fields[field]
    if (typeof text === 'string' && text.length <= 320) recipient[field] = text
  }
  if (Array.isArray(fields.roles)) {
    recipient.roles = fields.roles.filter((role): role is string => typeof role === 'string').slice(0, 50)
  }
  return recipient
}

function none(detail: string): RecipientSelection {
  return { kind: 'none', reason: 'NO_RECIPIENT', detail }
}
