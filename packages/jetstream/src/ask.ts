import { setTimeout as sleep } from 'node:timers/promises'
import type { Msg } from '@nats-io/transport-node'
import { request } from './api.js'
import { type Connection, wireOf } from './connection.js'
import { ApiError } from './errors.js'

/** How long a server may take to say that no more questions are on their way. */
const LAST_MS = 2_000

export interface AskOptions {
  /** How long an answer may take. Default 3,000. */
  timeoutMs?: number
}

/**
 * Asks whoever answers on a subject; JSON both ways. The answer comes from another process: parse it, don't believe it.
 * @throws ApiError `UNAVAILABLE` when nobody answers there or the connection is away, `TIMEOUT`, `DENIED`
 */
export async function ask(
  connection: Connection,
  subject: string,
  question: unknown,
  options: AskOptions = {},
): Promise<unknown> {
  // sent when the connection is back, it would be answered to nobody, and done though it was refused
  if (!connection.connected) throw new ApiError('UNAVAILABLE', 'The connection to NATS is away.')
  const message = await request(
    wireOf(connection),
    subject,
    JSON.stringify(question),
    options.timeoutMs ?? 3_000,
  )
  return message.json<unknown>()
}

export interface Answering {
  /** Takes no more questions, and resolves when the last one is answered. Idempotent. */
  drain(): Promise<void>
}

export interface AnswerOptions {
  /** Processes of one queue share the questions; without one each of them gets every question. */
  queue?: string
  /** The question could not be read, or the answer not be found: the asker waits in vain. Must not throw. */
  onFailure: (error: unknown, subject: string) => void
}

/**
 * Answers questions of a subject, wildcards allowed. `answer` gets the parsed question and the subject it was asked on.
 * A question without an answer (undefined) is left to others.
 */
export function answerQuestions(
  connection: Connection,
  subject: string,
  options: AnswerOptions,
  answer: (question: unknown, subject: string) => Promise<unknown> | unknown,
): Answering {
  const underWay = new Set<Promise<void>>()
  const work = async (message: Msg): Promise<void> => {
    try {
      const found = await answer(message.json<unknown>(), message.subject)
      if (found !== undefined) message.respond(JSON.stringify(found))
    } catch (error) {
      options.onFailure(error, message.subject)
    }
  }
  const subscription = wireOf(connection).nats.subscribe(subject, {
    ...(options.queue === undefined ? {} : { queue: options.queue }),
    callback: (error, message) => {
      if (error !== null || message.reply === undefined || message.reply === '') return
      const done = work(message).finally(() => underWay.delete(done))
      underWay.add(done)
    },
  })
  return {
    async drain() {
      if (!subscription.isClosed()) {
        // what the server sent here before it heard of this is answered too; cut off, there is nothing on its way
        if (connection.connected)
          await Promise.race([subscription.drain(), sleep(LAST_MS, undefined, { ref: false })])
        else subscription.unsubscribe()
      }
      await Promise.all(underWay)
    },
  }
}
