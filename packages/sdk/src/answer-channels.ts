import {
  type AuthoriseAnswer,
  type AuthoriseQuestion,
  authoriseSubject,
  parseChannelName,
} from '@carillon/contracts'
import type { Msg, NatsConnection } from '@nats-io/transport-node'

/** Which questions a service answers. */
export interface AnswerChannelsOptions {
  /** The beginning of the room's id, up to the first dash: `ride` for `room:ride-9` and `latest:ride-9`. */
  namespace: string
  /** The connection's tenant unless given. */
  tenant?: string
  /**
   * A question that was not answered: `handler` failed, or it could not be read. Whoever asked is told that it can't be
   * said now, and asks again later. A warning of the process unless given. Must not throw.
   */
  onFailure?: (error: unknown, question: AuthoriseQuestion | undefined) => void
}

/** Decides whether somebody may do something in a room. What it throws lets nobody in, for now. */
export type AnswerChannels = (question: AuthoriseQuestion) => AuthoriseAnswer | Promise<AuthoriseAnswer>

/** A service that answers. */
export interface Answering extends AsyncDisposable {
  /** Takes no more questions, and resolves when those that have come are answered. Idempotent. */
  stop(): Promise<void>
}

/** Instances of services share the questions: each is answered by one. */
const QUEUE = 'answers'

export function answerChannels(
  connection: NatsConnection,
  options: AnswerChannelsOptions & { tenant: string },
  handler: AnswerChannels,
): Answering {
  const { namespace, tenant, onFailure = warn } = options
  const underWay = new Set<Promise<void>>()
  const answer = async (message: Msg): Promise<void> => {
    let question: AuthoriseQuestion | undefined
    try {
      question = readQuestion(message.json<unknown>(), namespace)
      const found = await handler(question)
      if (typeof found?.allow !== 'boolean') throw new TypeError('An answer says `allow`: true or false.')
      message.respond(JSON.stringify(found))
    } catch (error) {
      onFailure(error, question)
    }
  }
  const subscription = connection.subscribe(authoriseSubject(tenant, namespace), {
    queue: QUEUE,
    callback: (error, message) => {
      if (error !== null) return onFailure(error, undefined)
      const done = answer(message).finally(() => underWay.delete(done))
      underWay.add(done)
    },
  })
  let stopping: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    if (!subscription.isClosed()) await subscription.drain()
    await Promise.all(underWay)
  }
  const stopOnce = (): Promise<void> => {
    stopping ??= stop()
    return stopping
  }
  return { stop: stopOnce, [Symbol.asyncDispose]: stopOnce }
}

/** Questions come from Carillon, but the broker lets others write too where an operator was careless. */
function readQuestion(value: unknown, namespace: string): AuthoriseQuestion {
  const { channel, user, action, data } = (value ?? {}) as Partial<Record<keyof AuthoriseQuestion, unknown>>
  const known = typeof channel === 'string' && parseChannelName(channel)?.namespace === namespace
  if (!known || typeof user !== 'string' || user === '')
    throw new TypeError('This is no question about a room.')
  if (action !== 'subscribe' && action !== 'publish') throw new TypeError(`This action is not known here.`)
  return { channel, user, action, ...(data === undefined ? {} : { data }) }
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : new Error(String(error)))
}
