import { ContractError } from './errors.js'
import { parseEventSubject } from './subjects.js'
import { isWellFormed } from './tokens.js'
import type { Lane } from './words.js'

/** Largest payload of one event, in bytes. The edge and the decoder use the same limit. */
export const MAX_EVENT_BYTES = 256 * 1024

/** Deepest nesting of an event's data: JSON.parse has no limit, but what reads the value again recurses. */
export const MAX_EVENT_DEPTH = 64

const MAX_ATTRIBUTE_LENGTH = 512

/** An event as the rest of Carillon sees it, whatever its binding was. */
export interface DomainEvent {
  tenant: string
  lane: Lane
  id: string
  source: string
  type: string
  /** RFC 3339, as the publisher said it. Shown, never used to choose ids or partitions. */
  time: string | undefined
  subject: string | undefined
  data: unknown
  /** `data` as JSON text: what is stored, so that it needn't be serialised again. */
  dataJson: string
  traceparent: string | undefined
}

/** A message of the EVENTS stream, reduced to what decoding needs. */
export interface EventMessage {
  subject: string
  body: Uint8Array
  /** Header by name, case-insensitive. */
  header(name: string): string | undefined
  stream: string
  sequence: number
  /** When the stream stored it, milliseconds; the same on every delivery. */
  timestampMs: number
}

const decoder = new TextDecoder('utf-8', { fatal: true })

/**
 * Decodes one message on an `evt.…` subject: CloudEvents 1.0 in the NATS binding (binary `ce-*` headers or
 * structured `application/cloudevents+json`), or plain JSON, whose type comes from the subject and whose id
 * from stream, sequence and moment, so that `nats pub` is enough to begin with.
 * @throws ContractError when the message can never be processed
 */
export function decodeEventMessage(message: EventMessage): DomainEvent {
  const { lane, tenant, type } = parseEventSubject(message.subject)
  if (message.body.length > MAX_EVENT_BYTES) throw tooLarge(message.body.length)
  const traceparent = message.header('traceparent')
  if (message.header('ce-specversion') !== undefined || message.header('ce-type') !== undefined) {
    const attributes = binaryAttributes((name) => message.header(`ce-${name}`))
    const { text, data } = parseData(
      message.body,
      message.header('ce-datacontenttype') ?? message.header('content-type'),
    )
    return { tenant, lane, ...attributes, data, dataJson: text, traceparent }
  }
  const contentType = message.header('content-type')?.toLowerCase() ?? ''
  if (contentType.startsWith('application/cloudevents')) {
    const parsed = parseStructured(parseJson(message.body))
    return { tenant, lane, ...parsed, traceparent: traceparent ?? parsed.traceparent }
  }
  const { text, data } = parseData(message.body, 'application/json')
  return {
    tenant,
    lane,
    // sequences begin anew with a stream that was made again; with its moment the id stays one of a kind
    id: `${message.stream}-${message.sequence}-${message.timestampMs}`,
    source: `nats:${message.stream}`,
    type,
    time: undefined,
    subject: undefined,
    data,
    dataJson: text,
    traceparent,
  }
}

/** Attributes of a CloudEvent without tenant and lane, which come from the subject or the credential. */
export type CloudEvent = Omit<DomainEvent, 'tenant' | 'lane'>

/**
 * Reads a structured CloudEvent (JSON format) that was parsed already.
 * @throws ContractError `EVENT_INVALID` with the attribute that is wrong
 */
export function parseStructured(value: unknown): CloudEvent {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ContractError('EVENT_INVALID', 'A structured CloudEvent is a JSON object.', undefined)
  }
  const record = value as Record<string, unknown>
  const attributes = checkAttributes((name) => record[name])
  if (record.data !== undefined && record.data_base64 !== undefined) {
    throw new ContractError('EVENT_INVALID', 'Only one of "data" and "data_base64" may be there.', 'data')
  }
  const data = record.data ?? (record.data_base64 === undefined ? null : { base64: record.data_base64 })
  assertShallow(data)
  const traceparent = record.traceparent
  return {
    ...attributes,
    data,
    dataJson: JSON.stringify(data),
    traceparent: typeof traceparent === 'string' ? traceparent : undefined,
  }
}

/**
 * Reads the attributes of a binary CloudEvent; values are percent-decoded as the bindings ask.
 * @throws ContractError `EVENT_INVALID`
 */
export function binaryAttributes(
  get: (name: string) => string | undefined,
): Pick<DomainEvent, 'id' | 'source' | 'type' | 'time' | 'subject'> {
  return checkAttributes((name) => {
    const value = get(name)
    if (value === undefined || !value.includes('%')) return value
    try {
      return decodeURIComponent(value)
    } catch {
      throw new ContractError('EVENT_INVALID', `ce-${name} is not valid percent-encoding.`, name)
    }
  })
}

/** Parses the data of a binary or plain event: JSON when it says so or nothing, otherwise kept as text. */
export function parseData(
  body: Uint8Array,
  contentType: string | undefined,
): { data: unknown; text: string } {
  if (body.length === 0) return { data: null, text: 'null' }
  const type = contentType?.toLowerCase().split(';', 1)[0]?.trim() ?? 'application/json'
  const isJson = type === '' || type.endsWith('/json') || type.endsWith('+json')
  const text = decodeText(body)
  if (!isJson) return { data: text, text: JSON.stringify(text) }
  const data = parseJsonText(text)
  assertShallow(data)
  return { data, text }
}

function assertShallow(data: unknown): void {
  if (!isDeeper(data, MAX_EVENT_DEPTH)) return
  throw new ContractError('EVENT_INVALID', `The data nests deeper than ${MAX_EVENT_DEPTH} levels.`, 'data')
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (levels === 0) return true
  if (Array.isArray(value)) return value.some((part) => isDeeper(part, levels - 1))
  for (const name in value) {
    if (isDeeper((value as Record<string, unknown>)[name], levels - 1)) return true
  }
  return false
}

function parseJson(body: Uint8Array): unknown {
  return parseJsonText(decodeText(body))
}

function decodeText(body: Uint8Array): string {
  try {
    return decoder.decode(body)
  } catch {
    throw new ContractError('EVENT_INVALID', 'The payload is not UTF-8 text.', 'data')
  }
}

function parseJsonText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new ContractError('EVENT_INVALID', 'The payload is not valid JSON.', 'data')
  }
}

function checkAttributes(
  get: (name: string) => unknown,
): Pick<DomainEvent, 'id' | 'source' | 'type' | 'time' | 'subject'> {
  const version = get('specversion')
  if (version !== '1.0') {
    throw new ContractError('EVENT_INVALID', 'specversion must be "1.0".', 'specversion')
  }
  const time = optional(get, 'time')
  if (time !== undefined && Number.isNaN(Date.parse(time))) {
    throw new ContractError('EVENT_INVALID', `time "${time.slice(0, 64)}" is not an RFC 3339 date.`, 'time')
  }
  return {
    id: required(get, 'id'),
    source: required(get, 'source'),
    type: required(get, 'type'),
    time,
    subject: optional(get, 'subject'),
  }
}

function required(get: (name: string) => unknown, name: string): string {
  const value = optional(get, name)
  if (value === undefined || value === '') {
    throw new ContractError('EVENT_INVALID', `The attribute "${name}" is missing or empty.`, name)
  }
  return value
}

function optional(get: (name: string) => unknown, name: string): string | undefined {
  const value = get(name)
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string' || value.length > MAX_ATTRIBUTE_LENGTH || !isStorable(value)) {
    throw new ContractError(
      'EVENT_INVALID',
      `The attribute "${name}" must be text of at most ${MAX_ATTRIBUTE_LENGTH} characters without control characters or broken surrogates.`,
      name,
    )
  }
  return value
}

/**
 * Control characters break header lines and PostgreSQL can't store NUL; a lone surrogate becomes U+FFFD in UTF-8, which
 * would give two ids the same bytes and so the same hash.
 */
function isStorable(value: string): boolean {
  for (let index = 0; index < value.length; index++) {
    const code = value.charCodeAt(index)
    if (code < 32 || code === 127) return false
  }
  return isWellFormed(value)
}

function tooLarge(bytes: number): ContractError {
  return new ContractError(
    'EVENT_TOO_LARGE',
    `The event has ${bytes} bytes; at most ${MAX_EVENT_BYTES} are accepted. Put large content elsewhere and send its address.`,
    'data',
  )
}
