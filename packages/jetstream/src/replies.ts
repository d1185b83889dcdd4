import { createInbox, type Msg, type NatsConnection, type Subscription } from '@nats-io/transport-node'

/** Why no reply came: nothing in time, connection lost after sending, nobody listens, or not permitted. */
export type ReplyFailure = 'TIMEOUT' | 'DISCONNECTED' | 'NO_RESPONDERS' | 'DENIED'

export interface Waiting {
  /** Where the request goes, to tell a permission error. */
  subject: string
  /** When to give up, epoch milliseconds. */
  deadline: number
  /** Exactly one of the two is given. Returning true keeps the reply subject open for the next message. */
  settle(reply: Msg | undefined, failure: ReplyFailure | undefined): boolean | undefined
}

const SWEEP_MS = 100

/**
 * One reply inbox for all requests of a connection: no subscription, timer or promise per request. Time-outs are
 * coarse (100 ms). When the connection is lost everything in flight fails at once with `DISCONNECTED`.
 */
export class ReplyInbox {
  readonly #waiting = new Map<string, Waiting>()
  readonly #subscription: Subscription
  readonly #prefix: string
  #counter = 0
  #sweeper: NodeJS.Timeout | undefined

  constructor(nats: NatsConnection, inboxPrefix: string) {
    this.#prefix = `${createInbox(inboxPrefix)}.`
    this.#subscription = nats.subscribe(`${this.#prefix}*`, {
      callback: (error, message) => {
        if (error === null) this.#receive(message)
        else this.failAll('DENIED')
      },
    })
  }

  /** Opens a reply subject. */
  open(waiting: Waiting): string {
    const token = (this.#counter++).toString(36)
    this.#waiting.set(token, waiting)
    if (this.#sweeper === undefined) {
      this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS)
    }
    return this.#prefix + token
  }

  /** Requests to `subject` will not be answered. */
  fail(subject: string, failure: ReplyFailure): void {
    for (const [token, waiting] of this.#waiting) {
      if (waiting.subject === subject) this.#fail(token, waiting, failure)
    }
  }

  failAll(failure: ReplyFailure): void {
    for (const [token, waiting] of this.#waiting) this.#fail(token, waiting, failure)
  }

  close(): void {
    this.failAll('DISCONNECTED')
    clearInterval(this.#sweeper)
    if (!this.#subscription.isClosed()) this.#subscription.unsubscribe()
  }

  #receive(message: Msg): void {
    const token = message.subject.slice(this.#prefix.length)
    const waiting = this.#waiting.get(token)
    if (waiting === undefined) return
    if (message.data.length === 0 && message.headers?.code === 503) {
      this.#fail(token, waiting, 'NO_RESPONDERS')
    } else if (waiting.settle(message, undefined) !== true) {
      this.#waiting.delete(token)
    }
  }

  #fail(token: string, waiting: Waiting, failure: ReplyFailure): void {
    this.#waiting.delete(token)
    waiting.settle(undefined, failure)
  }

  #sweep(): void {
    const now = Date.now()
    for (const [token, waiting] of this.#waiting) {
      if (waiting.deadline <= now) this.#fail(token, waiting, 'TIMEOUT')
    }
    if (this.#waiting.size === 0) {
      clearInterval(this.#sweeper)
      this.#sweeper = undefined
    }
  }
}
