import { randomBytes } from 'node:crypto'
import type { Msg } from '@nats-io/transport-node'
import type { Wire } from './connection.js'
import { PublishError, type PublishErrorCode } from './errors.js'
import { encodedHeaders, headerLines, isHeader } from './headers.js'
import type { ReplyFailure } from './replies.js'

/** A message to publish. Subjects come from `@carillon/contracts`; nobody else makes one. */
export interface OutgoingMessage {
  subject: string
  body: Uint8Array | string
  headers?: Record<string, string>
  /**
   * Identity for the server's dedupe window. Sent by the window publisher only: inside an atomic batch one
   * duplicate would refuse everybody's messages.
   */
  messageId?: string
}

/** What became of one message. `sequence` is its place in the stream; `duplicate` it was there already. */
export type PublishOutcome =
  | { ok: true; sequence?: number; duplicate?: boolean }
  | { ok: false; error: PublishError }

const MAX_SUBJECT_BYTES = 1024
const SUBJECT = /^[^\s*>.\0][^\s*>\0]*$/
const FULL = new Set([10023, 10028, 10047, 10077])
const TOO_LARGE = new Set([10054, 10097])
const UNAVAILABLE = new Set([10008, 10009, 10074, 10118, 10167, 10176, 10210])

/** Why the message can't be sent at all, or undefined. Checked before anything goes out: a throw in the middle of a batch leaves it hanging on the server. */
export function unsendable(wire: Wire, message: OutgoingMessage): PublishError | undefined {
  const { subject, headers } = message
  if (subject.length > MAX_SUBJECT_BYTES || !SUBJECT.test(subject)) {
    return new PublishError('REFUSED', `"${subject.slice(0, 80)}" is not a subject to publish on.`)
  }
  let size = typeof message.body === 'string' ? Buffer.byteLength(message.body) : message.body.length
  if (headers !== undefined) {
    for (const name in headers) {
      const value = headers[name] as string
      if (!isHeader(name, value)) return new PublishError('REFUSED', `The header "${name}" can't be sent.`)
      size += name.length + value.length + 4
    }
  }
  if (message.messageId !== undefined && !isHeader('Nats-Msg-Id', message.messageId)) {
    return new PublishError('REFUSED', 'The message id has characters that a header does not allow.')
  }
  if (size + 256 > wire.maxPayload) {
    return new PublishError('TOO_LARGE', `${size} bytes are more than the server takes (${wire.maxPayload}).`)
  }
  return undefined
}

interface PubAck {
  stream?: string
  seq?: number
  duplicate?: boolean
  error?: { code: number; err_code?: number; description?: string }
}

function serverError(error: NonNullable<PubAck['error']>): PublishError {
  const serverCode = error.err_code ?? error.code
  let code: PublishErrorCode = 'REFUSED'
  if (FULL.has(serverCode)) code = 'FULL'
  else if (TOO_LARGE.has(serverCode)) code = 'TOO_LARGE'
  else if (serverCode === 10059) code = 'NO_STREAM'
  else if (UNAVAILABLE.has(serverCode) || error.code === 503 || error.code === 429) code = 'UNAVAILABLE'
  return new PublishError(code, `${error.description ?? 'refused'} (${serverCode})`, serverCode)
}

function failureError(failure: ReplyFailure, subject: string): PublishError {
  if (failure === 'NO_RESPONDERS') {
    return new PublishError('UNAVAILABLE', `No stream answers for ${subject} now.`, 503)
  }
  if (failure === 'DENIED') return new PublishError('REFUSED', `Publishing on ${subject} is not permitted.`)
  return new PublishError('TIMEOUT', `No acknowledgement for ${subject}: it may be stored.`)
}

/** Exactly what the server writes for a single stored message; all else is parsed as JSON. */
const PLAIN_ACK = /^\{"stream":"([^"]+)", ?"seq":(\d+)\}$/

function outcomeOf(reply: Msg | undefined, failure: ReplyFailure | undefined, to: Target): PublishOutcome {
  if (reply === undefined) return { ok: false, error: failureError(failure ?? 'TIMEOUT', to.subject) }
  const text = reply.string()
  const plain = PLAIN_ACK.exec(text)
  if (plain !== null && plain[1] === to.stream) return { ok: true, sequence: Number(plain[2]) }
  const ack = parseAck(text)
  if (ack.error !== undefined) return { ok: false, error: serverError(ack.error) }
  if (ack.stream !== to.stream) {
    const message = `${to.subject} belongs to the stream ${ack.stream}, not to ${to.stream}.`
    return { ok: false, error: new PublishError('REFUSED', message) }
  }
  return ack.duplicate === true
    ? { ok: true, sequence: ack.seq ?? 0, duplicate: true }
    : { ok: true, sequence: ack.seq ?? 0 }
}

interface Target {
  stream: string
  subject: string
}

function parseAck(text: string): PubAck {
  try {
    return JSON.parse(text) as PubAck
  } catch {
    return { error: { code: 500, description: 'the acknowledgement is not JSON' } }
  }
}

const isMessageId = (name: string): boolean => name.length === 11 && name.toLowerCase() === 'nats-msg-id'

/** One message, one acknowledgement. Never throws; `settle` is called exactly once, and later. */
export function transmitOne(
  wire: Wire,
  message: OutgoingMessage,
  options: { timeoutMs: number; stream: string; withId: boolean },
  settle: (outcome: PublishOutcome) => void,
): void {
  if (!wire.connected) {
    const error = new PublishError('UNAVAILABLE', 'NATS is not connected.')
    queueMicrotask(() => settle({ ok: false, error }))
    return
  }
  let lines = ''
  if (options.withId && message.messageId !== undefined) lines += `Nats-Msg-Id: ${message.messageId}\r\n`
  if (message.headers !== undefined) lines += headerLines(message.headers, isMessageId)
  const reply = wire.replies.open({
    subject: message.subject,
    deadline: Date.now() + options.timeoutMs,
    settle: (answer, failure) => {
      settle(outcomeOf(answer, failure, { stream: options.stream, subject: message.subject }))
      return undefined
    },
  })
  const publishOptions = lines === '' ? { reply } : { reply, headers: encodedHeaders(lines) }
  wire.nats.publish(message.subject, message.body, publishOptions)
}

/**
 * All messages or none, in one append and one flush to disk (ADR-50 of NATS). Resolves with the outcome of the
 * whole: `sequence` is that of the last message, the others are the ones right before it. At most 1,000 messages.
 */
export function transmitBatch(
  wire: Wire,
  messages: readonly OutgoingMessage[],
  { stream, timeoutMs }: { stream: string; timeoutMs: number },
): Promise<PublishOutcome> {
  return new Promise((resolve) => {
    if (!wire.connected) {
      resolve({ ok: false, error: new PublishError('UNAVAILABLE', 'NATS is not connected.') })
      return
    }
    const batchLine = `Nats-Batch-Id: ${randomBytes(12).toString('base64url')}\r\nNats-Batch-Sequence: `
    const last = messages.length - 1
    for (let index = 0; index <= last; index++) {
      const { subject, body, headers } = messages[index] as OutgoingMessage
      let lines = `${batchLine}${index + 1}\r\n`
      if (headers !== undefined) lines += headerLines(headers, isMessageId)
      if (index < last) {
        wire.nats.publish(subject, body, { headers: encodedHeaders(lines) })
        continue
      }
      const reply = wire.replies.open({
        subject,
        deadline: Date.now() + timeoutMs,
        settle: (answer, failure) => {
          resolve(outcomeOf(answer, failure, { stream, subject }))
          return undefined
        },
      })
      wire.nats.publish(subject, body, { reply, headers: encodedHeaders(`${lines}Nats-Batch-Commit: 1\r\n`) })
    }
  })
}
