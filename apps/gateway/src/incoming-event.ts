import { randomUUID } from 'node:crypto'
import {
  binaryAttributes,
  ContractError,
  isLane,
  LANES,
  type Lane,
  parseStructured,
  typeToTokens,
} from '@carillon/contracts'
import type { EdgeEvent } from './outgoing-event.js'

/** Types that only the edge itself may make: they carry recipients and texts past the workflows. */
const RESERVED = 'carillon.'
/** Source of events that came without one. */
export const EDGE_SOURCE = 'carillon:gateway'

const MAX_EXTENSIONS = 20
const EXTENSION = /^[a-z0-9]{1,36}$/
const TRACEPARENT = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/
const MAX_CONTENT_TYPE = 256

const CORE = new Set([
  'specversion',
  'id',
  'source',
  'type',
  'time',
  'subject',
  'datacontenttype',
  'data',
  'data_base64',
  'lane',
  'traceparent',
])

/** What every event of a request shares. */
export interface Arrival {
  tenant: string
  correlationId: string
  lane: string | undefined
  traceparent: string | undefined
  /** Id for an event that came without one; the same for a repetition of the request. */
  newId(): string
  now: number
}

/** A structured CloudEvent. @throws ContractError naming the attribute that is wrong */
export function structuredEvent(value: unknown, arrival: Arrival): EdgeEvent {
  const event = parseStructured(value)
  const record = value as Record<string, unknown>
  const said = record.datacontenttype
  const contentType = typeof said === 'string' && said.length <= MAX_CONTENT_TYPE ? said : undefined
  if (
    said !== undefined &&
    said !== null &&
    (contentType === undefined || !/^[\x20-\x7e]+$/.test(contentType))
  ) {
    throw new ContractError('EVENT_INVALID', 'datacontenttype must be a media type.', 'datacontenttype')
  }
  // text of another type travels as itself; everything else as JSON
  const asText = typeof event.data === 'string' && contentType !== undefined && !isJson(contentType)
  return checked(
    {
      ...event,
      content: asText
        ? { text: event.data as string, type: contentType as string }
        : { text: event.dataJson, type: 'application/json' },
      extensions: extensionsOf(Object.keys(record), (name) => record[name]),
      traceparent: event.traceparent,
      lane: record.lane,
    },
    arrival,
  )
}

/** A CloudEvent whose attributes are in `ce-*` headers; `text` is its data as it came. */
export function binaryEvent(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  text: string,
  arrival: Arrival,
): EdgeEvent {
  const get = (name: string): string | undefined => {
    const value = headers[`ce-${name}`]
    return typeof value === 'string' ? value : undefined
  }
  const names = Object.keys(headers).flatMap((name) => (name.startsWith('ce-') ? [name.slice(3)] : []))
  const type = headers['content-type']
  return checked(
    {
      ...binaryAttributes(get),
      content: {
        text: text === '' ? 'null' : text,
        type: typeof type === 'string' && text !== '' ? type : 'application/json',
      },
      extensions: extensionsOf(names, (name) => decoded(get(name), name)),
      traceparent: get('traceparent'),
      lane: get('lane'),
    },
    arrival,
  )
}

/** Plain JSON of at least type and data; the rest is filled in. */
export interface PlainEvent {
  type: string
  data?: unknown
  id?: string
  source?: string
  subject?: string
  time?: string
  lane?: Lane
}

export function plainEvent(value: PlainEvent, arrival: Arrival): EdgeEvent {
  return structuredEvent(
    {
      specversion: '1.0',
      id: value.id ?? arrival.newId(),
      source: value.source ?? EDGE_SOURCE,
      type: value.type,
      time: value.time ?? new Date(arrival.now).toISOString(),
      ...(value.subject === undefined ? {} : { subject: value.subject }),
      ...(value.lane === undefined ? {} : { lane: value.lane }),
      data: value.data ?? null,
    },
    arrival,
  )
}

/** An event that the edge makes for somebody: a trigger or a direct notification. */
export function ownEvent(type: string, data: unknown, arrival: Arrival): EdgeEvent {
  return {
    tenant: arrival.tenant,
    lane: laneOf(undefined, arrival.lane),
    id: arrival.newId(),
    source: EDGE_SOURCE,
    type,
    time: new Date(arrival.now).toISOString(),
    subject: undefined,
    content: { text: JSON.stringify(data), type: 'application/json' },
    extensions: {},
    traceparent: validTrace(arrival.traceparent),
    correlationId: arrival.correlationId,
  }
}

type Read = Omit<EdgeEvent, 'tenant' | 'lane' | 'correlationId'> & { lane: unknown }

function checked(event: Read, arrival: Arrival): EdgeEvent {
  typeToTokens(event.type)
  if (event.type.startsWith(RESERVED)) {
    throw new ContractError(
      'EVENT_TYPE_INVALID',
      `Types that begin with "${RESERVED}" are Carillon's own: trigger a workflow or send a notification.`,
      'type',
    )
  }
  return {
    tenant: arrival.tenant,
    lane: laneOf(event.lane, arrival.lane),
    id: event.id,
    source: event.source,
    type: event.type,
    time: event.time,
    subject: event.subject,
    content: event.content,
    extensions: event.extensions,
    traceparent: validTrace(event.traceparent) ?? validTrace(arrival.traceparent),
    correlationId: arrival.correlationId,
  }
}

/** The event's own lane wins over the request's. */
function laneOf(own: unknown, given: string | undefined): Lane {
  const lane = own ?? given ?? 'normal'
  if (isLane(lane)) return lane
  throw new ContractError('EVENT_INVALID', `The lane is one of ${LANES.join(', ')}.`, 'lane')
}

function validTrace(value: string | undefined): string | undefined {
  return value !== undefined && TRACEPARENT.test(value) ? value : undefined
}

function extensionsOf(names: readonly string[], get: (name: string) => unknown): Record<string, string> {
  const extensions: Record<string, string> = {}
  let count = 0
  for (const name of names) {
    if (CORE.has(name)) continue
    if (!EXTENSION.test(name)) {
      throw new ContractError(
        'EVENT_INVALID',
        `"${name.slice(0, 64)}" is not a CloudEvents attribute: names have lower-case letters and digits.`,
        name.slice(0, 64),
      )
    }
    const value = get(name)
    if (value === null || value === undefined) continue
    if (typeof value === 'object' || String(value).length > 512 || hasControl(String(value))) {
      throw new ContractError(
        'EVENT_INVALID',
        `The extension "${name}" must be short text, a number or a boolean.`,
        name,
      )
    }
    if (++count > MAX_EXTENSIONS) {
      throw new ContractError('EVENT_INVALID', `At most ${MAX_EXTENSIONS} extensions are carried.`, name)
    }
    extensions[name] = String(value)
  }
  return extensions
}

function hasControl(value: string): boolean {
  for (let index = 0; index < value.length; index++) {
    const code = value.charCodeAt(index)
    if (code < 32 || code === 127) return true
  }
  return false
}

function decoded(value: string | undefined, name: string): string | undefined {
  if (value === undefined || !value.includes('%')) return value
  try {
    return decodeURIComponent(value)
  } catch {
    throw new ContractError('EVENT_INVALID', `ce-${name} is not valid percent-encoding.`, name)
  }
}

function isJson(contentType: string): boolean {
  const type = contentType.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  return type.endsWith('/json') || type.endsWith('+json')
}

/** Fresh ids for a request without an Idempotency-Key. */
export const freshId: () => string = randomUUID
