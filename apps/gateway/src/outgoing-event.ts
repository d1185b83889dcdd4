import { ContractError, type DomainEvent, eventSubject, HEADERS, MAX_EVENT_BYTES } from '@carillon/contracts'
import type { OutgoingMessage } from '@carillon/jetstream'

/** An event as it leaves the edge. `content` is its data, already as it will be stored. */
export interface EdgeEvent
  extends Pick<DomainEvent, 'tenant' | 'lane' | 'id' | 'source' | 'type' | 'time' | 'subject'> {
  content: { text: string; type: string }
  /** Extension attributes; names are lower-case letters and digits. */
  extensions: Readonly<Record<string, string>>
  traceparent: string | undefined
  correlationId: string
}

// what a header value may hold unescaped: the NATS binding asks for the same escapes as HTTP's
const PLAIN = /^[\x21\x23\x24\x26-\x7e]*$/
const LONE_SURROGATE = /\p{Surrogate}/gu
const ESCAPED = /[^\x21\x23\x24\x26-\x7e]/gu

/** The percent-encoding of the CloudEvents bindings: space, quote, percent and everything outside of ASCII. */
export function encodeHeaderValue(value: string): string {
  return PLAIN.test(value)
    ? value
    : value.replace(LONE_SURROGATE, '\ufffd').replace(ESCAPED, encodeURIComponent)
}

/**
 * One event in binary mode of the NATS binding.
 * @throws ContractError when type or size can't be carried
 */
export function eventMessage(event: EdgeEvent): OutgoingMessage {
  const { content } = event
  if (content.text.length > MAX_EVENT_BYTES / 4 && Buffer.byteLength(content.text) > MAX_EVENT_BYTES) {
    throw new ContractError(
      'EVENT_TOO_LARGE',
      `At most ${MAX_EVENT_BYTES} bytes of data are accepted.`,
      'data',
    )
  }
  const headers: Record<string, string> = {
    'ce-specversion': '1.0',
    'ce-id': encodeHeaderValue(event.id),
    'ce-source': encodeHeaderValue(event.source),
    'ce-type': encodeHeaderValue(event.type),
    'content-type': content.type,
    [HEADERS.correlationId]: event.correlationId,
  }
  if (event.time !== undefined) headers['ce-time'] = encodeHeaderValue(event.time)
  if (event.subject !== undefined) headers['ce-subject'] = encodeHeaderValue(event.subject)
  if (event.traceparent !== undefined) headers[HEADERS.traceparent] = event.traceparent
  for (const name in event.extensions) {
    headers[`ce-${name}`] = encodeHeaderValue(event.extensions[name] as string)
  }
  return { subject: eventSubject(event.lane, event.tenant, event.type), body: content.text, headers }
}
