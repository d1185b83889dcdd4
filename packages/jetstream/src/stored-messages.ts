import type { Msg } from '@nats-io/transport-node'
import { api, request } from './api.js'
import { type Connection, type Wire, wireOf } from './connection.js'
import { ApiError } from './errors.js'
import { readHeaders } from './headers.js'

/** A message read back from a stream without a consumer. */
export interface StoredMessage {
  subject: string
  body: Uint8Array
  sequence: number
  /**
   * Place of the message before it on the same subject in the same answer; undefined for the first. Whoever wants to
   * know whether something is missing before the first reads from the last place it has seen.
   */
  previousSequence: number | undefined
  timestampMs: number
  /** Lower-case names. */
  headers: ReadonlyMap<string, string>
}

export interface StreamState {
  firstSequence: number
  lastSequence: number
  messages: number
  bytes: number
  /** Most messages kept per subject, -1 for no limit. */
  maxPerSubject: number
  /** Most bytes kept, -1 for no limit. */
  maxBytes: number
  /** How long messages are kept, 0 for ever. */
  maxAgeMs: number
  /** When the stream was created, epoch milliseconds: another one may count from 1 again. */
  createdAt: number
  /**
   * Id of the server process that leads the stream, new at every start; where that is not the server we are connected
   * to, its name only. Together with `createdAt` an epoch for streams that sync late: after a restart the last
   * sequences may be given out again.
   */
  serverId: string
}

interface StreamInfo {
  created: string
  config: { max_msgs_per_subject?: number; max_bytes?: number; max_age?: number }
  state: { first_seq: number; last_seq: number; messages: number; bytes: number }
  cluster?: { leader?: string }
}

const READ_TIMEOUT_MS = 5_000
const PAGE = 256

/** @throws ApiError `NOT_FOUND` when there is no such stream */
export async function streamState(connection: Connection, stream: string): Promise<StreamState> {
  const wire = wireOf(connection)
  const info = await api<StreamInfo>(wire, `STREAM.INFO.${stream}`)
  return {
    firstSequence: info.state.first_seq,
    lastSequence: info.state.last_seq,
    messages: info.state.messages,
    bytes: info.state.bytes,
    maxPerSubject: info.config.max_msgs_per_subject ?? -1,
    maxBytes: info.config.max_bytes ?? -1,
    maxAgeMs: (info.config.max_age ?? 0) / 1e6,
    createdAt: Date.parse(info.created),
    serverId: leaderId(wire, info.cluster?.leader),
  }
}

/** A server with a name says that it leads also where it is alone. */
function leaderId(wire: Wire, leader: string | undefined): string {
  const server = wire.nats.info
  return leader === undefined || leader === server?.server_name ? (server?.server_id ?? '') : leader
}

export interface SubjectRange {
  stream: string
  subject: string
  /** The first sequence wanted; messages on other subjects are skipped. */
  fromSequence: number
  /** Most messages to read, at most 1,000. */
  limit: number
}

/**
 * Messages of one subject in stream order. In a cluster a replica may answer that lags behind.
 * @throws ApiError when the stream does not answer within 5 s
 */
export function readSubject(connection: Connection, range: SubjectRange): Promise<StoredMessage[]> {
  return readBatch(wireOf(connection), range.stream, {
    seq: Math.max(1, range.fromSequence),
    next_by_subj: range.subject,
    batch: range.limit,
  })
}

/** The newest message of a subject, or undefined. @throws ApiError */
export async function lastOfSubject(
  connection: Connection,
  stream: string,
  subject: string,
): Promise<StoredMessage | undefined> {
  return readOne(wireOf(connection), stream, { last_by_subj: subject })
}

/** One message by its sequence, or undefined when it is gone. @throws ApiError */
export function messageAt(wire: Wire, stream: string, sequence: number): Promise<StoredMessage | undefined> {
  return readOne(wire, stream, { seq: sequence })
}

/**
 * Whether a message with this `Nats-Msg-Id` is stored on the subject since a time: how a publisher that comes
 * back after the dedupe window learns what it had already published. Reads the subject's messages since then.
 * @throws ApiError
 */
export async function wasPublished(
  connection: Connection,
  message: { stream: string; subject: string; sinceMs: number; messageId: string },
): Promise<boolean> {
  const wire = wireOf(connection)
  const { stream, subject, messageId } = message
  let from: Record<string, unknown> = { start_time: new Date(message.sinceMs).toISOString() }
  for (;;) {
    const page = await readBatch(wire, stream, { ...from, next_by_subj: subject, batch: PAGE })
    if (page.some(({ headers }) => headers.get('nats-msg-id') === messageId)) return true
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE) return false
    from = { seq: last.sequence + 1 }
  }
}

async function readOne(wire: Wire, stream: string, query: object): Promise<StoredMessage | undefined> {
  const reply = await request(wire, `$JS.API.DIRECT.GET.${stream}`, JSON.stringify(query), READ_TIMEOUT_MS)
  const code = statusOf(reply)
  if (code === 404) return undefined
  if (code !== 0)
    throw new ApiError('REFUSED', `Reading ${stream}: ${reply.headers?.description ?? ''} (${code})`, code)
  return storedMessage(reply)
}

function readBatch(wire: Wire, stream: string, query: object): Promise<StoredMessage[]> {
  const subject = `$JS.API.DIRECT.GET.${stream}`
  return new Promise((resolve, reject) => {
    const messages: StoredMessage[] = []
    const reply = wire.replies.open({
      subject,
      deadline: Date.now() + READ_TIMEOUT_MS,
      settle: (message, failure) => {
        if (message === undefined) {
          const code = failure === 'TIMEOUT' ? 'TIMEOUT' : failure === 'DENIED' ? 'DENIED' : 'UNAVAILABLE'
          reject(new ApiError(code, `${stream} can't be read: ${failure}`))
          return false
        }
        const code = statusOf(message)
        if (code === 0) {
          messages.push(storedMessage(message))
          return true
        }
        if (code === 204 || code === 404) resolve(messages)
        else
          reject(
            new ApiError(
              'REFUSED',
              `Reading ${stream}: ${message.headers?.description ?? ''} (${code})`,
              code,
            ),
          )
        return false
      },
    })
    wire.nats.publish(subject, JSON.stringify(query), { reply })
  })
}

/** Status messages have no body and no sequence. */
function statusOf(message: Msg): number {
  return message.data.length === 0 ? (message.headers?.code ?? 0) : 0
}

function storedMessage(message: Msg): StoredMessage {
  const headers = readHeaders(message)
  return {
    subject: headers.get('nats-subject') ?? '',
    body: message.data,
    sequence: Number(headers.get('nats-sequence')),
    previousSequence: Number(headers.get('nats-last-sequence') ?? 0) || undefined,
    timestampMs: Date.parse(headers.get('nats-time-stamp') ?? ''),
    headers,
  }
}
