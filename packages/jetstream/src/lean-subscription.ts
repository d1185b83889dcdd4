import type { Msg, NatsConnection } from '@nats-io/transport-node'

/** What the client library's protocol handler does with a subscription, as much as is needed here. */
interface ProtocolHandler {
  subscribe(subscription: LeanSubscription): void
  unsubscribe(subscription: LeanSubscription): void
}

/**
 * A subscription with a callback and nothing else. The library's own keeps an iterator's queue and three promises for
 * each, a kilobyte and a half that somebody with ten thousand subscriptions can't spare. Its fields are those that the
 * protocol handler reads and writes.
 */
export class LeanSubscription {
  sid = 0
  received = 0
  max: number | undefined = undefined
  readonly subject: string
  readonly #onMessage: (message: Msg) => void
  #handler: ProtocolHandler | undefined

  private constructor(handler: ProtocolHandler, subject: string, onMessage: (message: Msg) => void) {
    this.subject = subject
    this.#onMessage = onMessage
    this.#handler = handler
  }

  /** Undefined where the library doesn't show its handler, or the connection takes no subscriptions any more. */
  static open(
    nats: NatsConnection,
    subject: string,
    onMessage: (message: Msg) => void,
  ): LeanSubscription | undefined {
    const { protocol } = nats as unknown as { protocol?: Partial<ProtocolHandler> }
    if (typeof protocol?.subscribe !== 'function' || typeof protocol.unsubscribe !== 'function')
      return undefined
    if (nats.isClosed() || nats.isDraining()) return undefined
    const handler = protocol as ProtocolHandler
    const subscription = new LeanSubscription(handler, subject, onMessage)
    handler.subscribe(subscription)
    return subscription
  }

  /** Called by the handler; `error` is what the server refused. */
  callback(error: Error | null, message: Msg): void {
    if (error === null && this.#handler !== undefined) this.#onMessage(message)
  }

  /** Called by the handler when it gives the subscription up. */
  close(): void {
    this.#handler = undefined
  }

  isClosed(): boolean {
    return this.#handler === undefined
  }

  unsubscribe(): void {
    this.#handler?.unsubscribe(this)
  }

  /** Called by the handler when the whole connection is drained: what was sent is still delivered. */
  drain(): Promise<void> {
    this.unsubscribe()
    return Promise.resolve()
  }

  stop(): void {
    this.unsubscribe()
  }
}
