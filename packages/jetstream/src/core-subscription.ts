import type { Msg } from '@nats-io/transport-node'
import { type Connection, wireOf } from './connection.js'
import { readHeaders } from './headers.js'
import { LeanSubscription } from './lean-subscription.js'

/** A message heard on core NATS. Loss shows in `previousSequence` only: the subscription itself is at most once. */
export class CoreMessage {
  readonly subject: string
  readonly body: Uint8Array
  readonly #message: Msg
  #headers: Map<string, string> | undefined

  constructor(message: Msg) {
    this.subject = message.subject
    this.body = message.data
    this.#message = message
  }

  /** Place in the stream that republished it; undefined for a message that was never stored. */
  get sequence(): number | undefined {
    return this.#number('nats-sequence')
  }

  /** Place of the message before it on the same subject, 0 when it is the first: a jump is a loss. */
  get previousSequence(): number | undefined {
    return this.#number('nats-last-sequence')
  }

  header(name: string): string | undefined {
    this.#headers ??= readHeaders(this.#message)
    return this.#headers.get(name.toLowerCase())
  }

  text(): string {
    return this.#message.string()
  }

  #number(name: string): number | undefined {
    const value = this.header(name)
    return value === undefined ? undefined : Number(value)
  }
}

export interface CoreSubscription {
  /** Ends it; nothing is called after. Idempotent. */
  stop(): void
}

/**
 * Listens on core NATS, wildcards allowed. Survives reconnections, but what is published meanwhile is gone.
 * `onMessage` is called in the socket's read and must not throw. Resubscribing is cheap: a few µs.
 */
export function subscribeCore(
  connection: Connection,
  subject: string,
  onMessage: (message: CoreMessage) => void,
): CoreSubscription {
  const { nats } = wireOf(connection)
  const lean = LeanSubscription.open(nats, subject, (message) => onMessage(new CoreMessage(message)))
  if (lean !== undefined) return lean
  const subscription = nats.subscribe(subject, {
    callback: (error, message) => {
      if (error === null) onMessage(new CoreMessage(message))
    },
  })
  return {
    stop: () => {
      if (!subscription.isClosed()) subscription.unsubscribe()
    },
  }
}
