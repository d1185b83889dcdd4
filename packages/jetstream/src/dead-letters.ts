import { deadLetterSubject, HEADERS, isToken, STREAMS, UNKNOWN_TENANT } from '@carillon/contracts'
import type { OutgoingMessage } from './transmit.js'

/** How a message terminated by us says so in the server's advisory: its dead letter is already written. */
export const DEAD_LETTERED = 'dead-lettered'

/** Where the tenant stands in the subjects of each stream. */
const TENANT_TOKEN: Record<string, number> = { evt: 2, job: 3, rt: 1, rcp: 3, aud: 3, dlq: 3 }

/** What a dead letter is made of, whoever writes it. */
export interface Corpse {
  stream: string
  durable: string
  subject: string
  sequence: number
  deliveries: number
  reason: string
  body: Uint8Array
  headers: Iterable<readonly [name: string, value: string]>
}

/** The tenant a subject belongs to, `unknown` when it does not tell. */
export function tenantOf(subject: string): string {
  const tokens = subject.split('.')
  const tenant = tokens[TENANT_TOKEN[tokens[0] ?? ''] ?? -1] ?? ''
  return isToken(tenant) ? tenant : UNKNOWN_TENANT
}

/**
 * The dead letter of a message: its own headers and body, and where it came from and why. Its id is the same
 * whoever writes it, so that a crash before the termination leaves one letter, not two.
 */
export function deadLetter(corpse: Corpse, at: Date): OutgoingMessage {
  const headers = withoutOwnHeaders(corpse.headers)
  headers[HEADERS.reason] = oneLine(corpse.reason)
  headers[HEADERS.originalSubject] = corpse.subject
  headers[HEADERS.originalStream] = corpse.stream
  headers[HEADERS.originalSequence] = String(corpse.sequence)
  headers[HEADERS.originalDeliveries] = String(corpse.deliveries)
  headers[HEADERS.deadAt] = at.toISOString()
  return {
    subject: deadLetterSubject(corpse.stream, corpse.durable, tenantOf(corpse.subject)),
    body: corpse.body,
    headers,
    messageId: `${corpse.stream}:${corpse.durable}:${corpse.sequence}`,
  }
}

/** The headers that a message came with. */
export function withoutOwnHeaders(
  headers: Iterable<readonly [name: string, value: string]>,
): Record<string, string> {
  const own: Record<string, string> = {}
  for (const [name, value] of headers) if (!isOurs(name.toLowerCase())) own[name] = value
  return own
}

/** Headers that tell of the message's way, not of its content: the server's, and an earlier dead letter's. */
function isOurs(name: string): boolean {
  return name.startsWith('nats-') || OWN_HEADERS.has(name)
}

const OWN_HEADERS: ReadonlySet<string> = new Set(
  [
    HEADERS.reason,
    HEADERS.originalSubject,
    HEADERS.originalStream,
    HEADERS.originalSequence,
    HEADERS.originalDeliveries,
    HEADERS.deadAt,
  ].map((name) => name.toLowerCase()),
)

/** Name of the stream that keeps dead letters. */
export const DEAD_LETTER_STREAM: string = STREAMS.deadLetters

const CONTROL = /[\p{Cc}\u2028\u2029]+/gu

/** A reason as it fits a header: one line, at most 500 characters. */
export function oneLine(reason: string): string {
  return reason.replace(CONTROL, ' ').trim().slice(0, 500)
}
