import { deadLetterSubject, HEADERS } from '@carillon/contracts'
import { api } from './api.js'
import { type Connection, wireOf } from './connection.js'
import { DEAD_LETTER_STREAM, withoutOwnHeaders } from './dead-letters.js'
import { ApiError } from './errors.js'
import { messageAt, readSubject, type StoredMessage } from './stored-messages.js'
import { createWindowPublisher } from './window-publisher.js'

/** Dead letters as an operator reads them, and sends them off again. */

export interface Letter {
  /** In DEAD_LETTERS: its name. */
  sequence: number
  tenant: string
  /** Where it was, under which durable it died, and why. */
  stream: string
  durable: string
  subject: string
  originalSequence: number
  deliveries: number
  reason: string
  deadAtMs: number
  /** It was published again before, and died again. */
  replayed: boolean
  /** The message's own, lower-case names. */
  headers: Record<string, string>
  body: Uint8Array
}

/**
 * Letters in the order in which they were written; those of one stream or tenant when named.
 * @throws ApiError when the stream does not answer within 5 s
 */
export async function readLetters(
  connection: Connection,
  wanted: { stream?: string | undefined; tenant?: string | undefined; fromSequence: number; limit: number },
): Promise<Letter[]> {
  const { stream = '*', tenant, fromSequence, limit } = wanted
  const subject = tenant === undefined ? `dlq.${stream}.*.*` : deadLetterSubject(stream, '*', tenant)
  const messages = await readSubject(connection, { stream: DEAD_LETTER_STREAM, subject, fromSequence, limit })
  return messages.map(letterOf)
}

/** How many letters there are, by the stream that they come from. Of the first 100,000 subjects. @throws ApiError */
export async function countLetters(connection: Connection): Promise<Map<string, number>> {
  const { state } = await api<{ state: { subjects?: Record<string, number> } }>(
    wireOf(connection),
    `STREAM.INFO.${DEAD_LETTER_STREAM}`,
    { subjects_filter: 'dlq.>' },
  )
  const counts = new Map<string, number>()
  for (const [subject, count] of Object.entries(state.subjects ?? {})) {
    const stream = subject.split('.')[1] ?? ''
    counts.set(stream, (counts.get(stream) ?? 0) + count)
  }
  return counts
}

/** One letter by its sequence, or undefined when there is none (any more). @throws ApiError */
export async function findLetter(connection: Connection, sequence: number): Promise<Letter | undefined> {
  const message = await messageAt(wireOf(connection), DEAD_LETTER_STREAM, sequence)
  return message === undefined ? undefined : letterOf(message)
}

/**
 * Publishes a letter's message again on its own subject, then takes the letter away: only once the server has
 * acknowledged. Its id is the letter's, so that a repetition within the stream's dedupe window is stored once; a crash in
 * between that is mended later than that publishes twice. Gives the new sequence.
 * @throws PublishError nothing was taken away · ApiError it was published, and the letter is still there
 */
export async function redriveLetter(connection: Connection, letter: Letter, at: Date): Promise<number> {
  await using publisher = createWindowPublisher(connection, { stream: letter.stream })
  const { [REPLAYED]: _before, ...headers } = letter.headers
  const sequence = await publisher.publish({
    subject: letter.subject,
    body: letter.body,
    headers: { ...headers, [HEADERS.replayed]: `${letter.sequence} ${at.toISOString()}` },
    messageId: `redrive:${letter.stream}:${letter.durable}:${letter.originalSequence}`,
  })
  await removeLetter(connection, letter.sequence)
  return sequence
}

/** Gone already is as good. */
async function removeLetter(connection: Connection, sequence: number): Promise<void> {
  try {
    await api(wireOf(connection), `STREAM.MSG.DELETE.${DEAD_LETTER_STREAM}`, {
      seq: sequence,
      no_erase: true,
    })
  } catch (error) {
    const gone =
      error instanceof ApiError && (error.code === 'NOT_FOUND' || error.serverCode === NO_SUCH_MESSAGE)
    if (!gone) throw error
  }
}

const NO_SUCH_MESSAGE = 10057
const REPLAYED = HEADERS.replayed.toLowerCase()

function letterOf(message: StoredMessage): Letter {
  const header = (name: string) => message.headers.get(name.toLowerCase()) ?? ''
  const [, stream = '', durable = '', tenant = ''] = message.subject.split('.')
  const deadAt = Date.parse(header(HEADERS.deadAt))
  return {
    sequence: message.sequence,
    tenant,
    stream: header(HEADERS.originalStream) || stream,
    durable,
    subject: header(HEADERS.originalSubject),
    originalSequence: Number(header(HEADERS.originalSequence)),
    deliveries: Number(header(HEADERS.originalDeliveries)),
    reason: header(HEADERS.reason),
    deadAtMs: Number.isNaN(deadAt) ? message.timestampMs : deadAt,
    replayed: header(HEADERS.replayed) !== '',
    headers: withoutOwnHeaders(message.headers),
    body: message.body,
  }
}
