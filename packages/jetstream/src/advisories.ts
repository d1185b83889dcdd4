import { DURABLES, STREAMS } from '@carillon/contracts'
import { api } from './api.js'
import { type Connection, type Wire, wireOf } from './connection.js'
import { type ConsumeHooks, type Consumption, consume } from './consume.js'
import { DEAD_LETTER_STREAM, DEAD_LETTERED, deadLetter } from './dead-letters.js'
import { ApiError } from './errors.js'
import { DONE, dead, type Outcome, retryAfter } from './outcomes.js'
import type { Received } from './received.js'
import { messageAt } from './stored-messages.js'
import { createWindowPublisher, type WindowPublisher } from './window-publisher.js'

interface Advisory {
  type: string
  stream: string
  consumer: string
  stream_seq: number
  deliveries: number
  reason?: string
}

const RETRY_MS = 5_000

/**
 * Turns the server's advisories into dead letters: a message that was delivered as often as its durable allows
 * (it kills its worker, so that nobody is left to write the letter), or that somebody terminated by hand. Takes it
 * out of a work queue, where it would stand for ever. Messages that `consume` buried are left alone.
 */
export function moveAdvisories(connection: Connection, hooks: ConsumeHooks = {}): Consumption {
  const wire = wireOf(connection)
  const letters = createWindowPublisher(connection, { stream: DEAD_LETTER_STREAM })
  const isWorkQueue = rememberWorkQueues(wire)
  return consume(
    connection,
    { stream: STREAMS.advisories, durable: DURABLES.advisories, batch: 32, concurrency: 1 },
    (batch) => Promise.all(batch.map((received) => move(wire, received, { letters, isWorkQueue }))),
    hooks,
  )
}

async function move(
  wire: Wire,
  received: Received,
  tools: { letters: WindowPublisher; isWorkQueue: (stream: string) => Promise<boolean> },
): Promise<Outcome> {
  const advisory = parseAdvisory(received)
  if (advisory === undefined) return dead('This is not an advisory about a message of a consumer.')
  if (advisory.reason?.startsWith(DEAD_LETTERED)) return DONE
  try {
    const message = await messageAt(wire, advisory.stream, advisory.stream_seq)
    if (message === undefined) return DONE
    const letter = deadLetter(
      {
        stream: advisory.stream,
        durable: advisory.consumer,
        subject: message.subject,
        sequence: message.sequence,
        deliveries: advisory.deliveries,
        reason: reasonOf(advisory),
        body: message.body,
        headers: message.headers,
      },
      new Date(),
    )
    await tools.letters.publish(letter)
    if (await tools.isWorkQueue(advisory.stream)) await remove(wire, advisory)
    return DONE
  } catch (error) {
    if (error instanceof ApiError && error.code === 'NOT_FOUND') return DONE
    return retryAfter(RETRY_MS)
  }
}

function reasonOf(advisory: Advisory): string {
  if (advisory.type.endsWith('.max_deliver')) {
    return `Delivered ${advisory.deliveries} times without a decision: it may kill its worker.`
  }
  return advisory.reason ?? 'Terminated without a reason.'
}

function parseAdvisory(received: Received): Advisory | undefined {
  try {
    const value = received.json() as Partial<Advisory> | null
    if (typeof value?.stream !== 'string' || typeof value.consumer !== 'string') return undefined
    if (typeof value.stream_seq !== 'number' || typeof value.type !== 'string') return undefined
    return { ...value, deliveries: value.deliveries ?? 0 } as Advisory
  } catch {
    return undefined
  }
}

async function remove(wire: Wire, advisory: Advisory): Promise<void> {
  try {
    await api(wire, `STREAM.MSG.DELETE.${advisory.stream}`, { seq: advisory.stream_seq, no_erase: true })
  } catch (error) {
    const gone = error instanceof ApiError && (error.code === 'NOT_FOUND' || error.serverCode === 10057)
    if (!gone) throw error
  }
}

function rememberWorkQueues(wire: Wire): (stream: string) => Promise<boolean> {
  const known = new Map<string, boolean>()
  return async (stream) => {
    const answer = known.get(stream)
    if (answer !== undefined) return answer
    const info = await api<{ config: { retention: string } }>(wire, `STREAM.INFO.${stream}`)
    const isWorkQueue = info.config.retention === 'workqueue'
    known.set(stream, isWorkQueue)
    return isWorkQueue
  }
}
