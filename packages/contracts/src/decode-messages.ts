import { ContractError } from './errors.js'
import {
  ACTOR_KINDS,
  type AuditFact,
  type FanoutChunk,
  type Job,
  RECEIPT_SOURCES,
  type Receipt,
} from './messages.js'
import { RECEIPT_STATUSES } from './subjects.js'
import { CHANNELS, REASONS } from './words.js'

const decoder = new TextDecoder('utf-8', { fatal: true })

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** True for a lower-case UUID, the form of every derived id. */
export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && UUID.test(value)
}

/** Unknown fields are left out: an older reader understands what a newer writer sends. @throws ContractError `MESSAGE_INVALID` */
export function decodeJob(body: Uint8Array): Job {
  const fields = readFields(body, 'job')
  return { deliveryId: fields.uuid('deliveryId'), runId: fields.uuid('runId') }
}

/** Unknown fields are left out. @throws ContractError `MESSAGE_INVALID` */
export function decodeFanoutChunk(body: Uint8Array): FanoutChunk {
  const fields = readFields(body, 'chunk')
  return { eventId: fields.uuid('eventId'), workflow: fields.text('workflow'), chunk: fields.count('chunk') }
}

/** Unknown fields are left out. @throws ContractError `MESSAGE_INVALID` with the field that is wrong */
export function decodeReceipt(body: Uint8Array): Receipt {
  const fields = readFields(body, 'receipt')
  const receipt: Receipt = {
    deliveryId: fields.uuid('deliveryId'),
    runId: fields.uuid('runId'),
    userId: fields.uuid('userId'),
    channel: fields.word('channel', CHANNELS),
    status: fields.word('status', RECEIPT_STATUSES),
    at: fields.moment('at'),
    by: fields.word('by', RECEIPT_SOURCES),
  }
  if (fields.has('attempt')) receipt.attempt = fields.count('attempt')
  if (fields.has('provider')) receipt.provider = fields.note('provider')
  if (fields.has('providerId')) receipt.providerId = fields.note('providerId')
  if (fields.has('reason')) receipt.reason = fields.word('reason', REASONS)
  if (fields.has('detail')) receipt.detail = fields.note('detail')
  return receipt
}

/** Unknown fields are left out. @throws ContractError `MESSAGE_INVALID` with the field that is wrong */
export function decodeAuditFact(body: Uint8Array): AuditFact {
  const fields = readFields(body, 'audit fact')
  const actor = fields.object('actor')
  const fact: AuditFact = {
    id: fields.text('id'),
    at: fields.moment('at'),
    actor: { kind: actor.word('kind', ACTOR_KINDS), id: actor.text('id') },
    action: fields.text('action'),
    resource: fields.text('resource'),
    outcome: fields.word('outcome', ['ok', 'refused']),
  }
  if (fields.has('correlationId')) fact.correlationId = fields.note('correlationId')
  if (fields.has('details')) fact.details = fields.object('details').scalars()
  return fact
}

/** Typed access to one parsed object; every refusal names the field by its whole path. */
interface Fields {
  has(field: string): boolean
  text(field: string): string
  /** Text that may be empty: what a provider says of itself is no reason to lose what it says. */
  note(field: string): string
  uuid(field: string): string
  word<Word extends string>(field: string, words: readonly Word[]): Word
  /** Milliseconds that a Date can hold. */
  moment(field: string): number
  /** A whole number from 0 up. */
  count(field: string): number
  object(field: string): Fields
  /** The object itself, when it holds nothing but text, finite numbers and booleans. */
  scalars(): Record<string, string | number | boolean>
}

const MAX_MOMENT = 8.64e15

function readFields(body: Uint8Array, what: string): Fields {
  let value: unknown
  try {
    value = JSON.parse(decoder.decode(body))
  } catch {
    throw new ContractError('MESSAGE_INVALID', `The ${what} is not valid JSON.`)
  }
  if (!isRecord(value)) throw new ContractError('MESSAGE_INVALID', `The ${what} is not a JSON object.`)
  return fieldsOf(value, what, '')
}

function fieldsOf(record: Record<string, unknown>, what: string, prefix: string): Fields {
  const at = (field: string): unknown => (Object.hasOwn(record, field) ? record[field] : undefined)
  const refuse = (field: string, wanted: string): ContractError =>
    new ContractError(
      'MESSAGE_INVALID',
      `"${prefix}${field}" of the ${what} must be ${wanted}.`,
      `${prefix}${field}`,
    )
  return {
    has: (field) => at(field) !== undefined,
    text(field) {
      const value = at(field)
      if (typeof value !== 'string' || value === '') throw refuse(field, 'text')
      return value
    },
    note(field) {
      const value = at(field)
      if (typeof value !== 'string') throw refuse(field, 'text')
      return value
    },
    uuid(field) {
      const value = at(field)
      if (!isUuid(value)) throw refuse(field, 'a lower-case UUID')
      return value
    },
    word(field, words) {
      const word = words.find((known) => known === at(field))
      if (word === undefined) throw refuse(field, `one of ${words.join(', ')}`)
      return word
    },
    moment(field) {
      const value = at(field)
      if (typeof value !== 'number' || !(Math.abs(value) <= MAX_MOMENT)) throw refuse(field, 'milliseconds')
      return value
    },
    count(field) {
      const value = at(field)
      if (!Number.isSafeInteger(value) || (value as number) < 0) throw refuse(field, 'a whole number')
      return value as number
    },
    object(field) {
      const value = at(field)
      if (!isRecord(value)) throw refuse(field, 'an object')
      return fieldsOf(value, what, `${prefix}${field}.`)
    },
    scalars() {
      const scalars: [string, string | number | boolean][] = []
      for (const [field, value] of Object.entries(record)) {
        if (typeof value !== 'string' && typeof value !== 'boolean' && !Number.isFinite(value)) {
          throw refuse(field, 'text, a number or a boolean')
        }
        scalars.push([field, value as string | number | boolean])
      }
      return Object.fromEntries(scalars)
    },
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
