import { createInbox, type Msg, type Subscription } from '@nats-io/transport-node'
import type { Wire } from './connection.js'
import { isDelivery } from './received.js'

export interface PullOptions {
  stream: string
  durable: string
  /** How long the server keeps a pull open. */
  expiresMs: number
  /** How often the server says that it is there while it has nothing. */
  heartbeatMs: number
}

export interface PullEvents {
  /** A message arrived; its place in the demand is used up. */
  message(message: Msg): void
  /** More may be asked for: call `demand`. */
  ready(): void
  /** The stream or the durable is missing; asked again with back-off meanwhile. */
  missing(): void
}

const MISSED_HEARTBEATS = 3
const BACKOFF_MIN_MS = 100
const BACKOFF_MAX_MS = 2_000

/**
 * Keeps pulls open on one durable and counts what was asked for and has not come. Demand is the only source of
 * messages, so what its owner does not ask for stays in the stream. A lost pull (change of leader, restart,
 * reconnection, silence for three heartbeats) is forgotten and asked for again.
 */
export class PullSubscription {
  readonly #wire: Wire
  readonly #options: PullOptions
  readonly #events: PullEvents
  readonly #prefix: string
  readonly #subject: string
  readonly #subscription: Subscription
  readonly #watch: NodeJS.Timeout
  readonly #stopListening: () => void
  #requested = 0
  /** Part of the reply subject of a pull: statuses of pulls that were given up as lost are not counted. */
  #generation = 0
  #lastHeardAt = Date.now()
  #failures = 0
  #backoff: NodeJS.Timeout | undefined
  #stopped = false

  constructor(wire: Wire, options: PullOptions, events: PullEvents) {
    this.#wire = wire
    this.#options = options
    this.#events = events
    this.#prefix = `${createInbox(wire.inboxPrefix)}.`
    this.#subject = `$JS.API.CONSUMER.MSG.NEXT.${options.stream}.${options.durable}`
    this.#subscription = wire.nats.subscribe(`${this.#prefix}*`, {
      callback: (error, message) => {
        if (error === null) this.#receive(message)
      },
    })
    this.#watch = setInterval(() => this.#checkSilence(), options.heartbeatMs)
    this.#stopListening = wire.onReconnect(() => this.#forgetAll())
  }

  /** Asked for and not yet come. */
  get requested(): number {
    return this.#requested
  }

  /** Asks for `count` more messages. Ignored while backing off or stopped. */
  demand(count: number): void {
    if (this.#stopped || this.#backoff !== undefined || !this.#wire.connected || count <= 0) return
    if (this.#requested === 0) this.#lastHeardAt = Date.now()
    this.#requested += count
    const expires = this.#options.expiresMs * 1_000_000
    const heartbeat = this.#options.heartbeatMs * 1_000_000
    this.#wire.nats.publish(
      this.#subject,
      `{"batch":${count},"expires":${expires},"idle_heartbeat":${heartbeat}}`,
      { reply: this.#prefix + this.#generation },
    )
  }

  /** Stops asking. What the server has sent already still arrives before this resolves. */
  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    clearInterval(this.#watch)
    clearTimeout(this.#backoff)
    this.#stopListening()
    if (this.#wire.connected && !this.#subscription.isClosed()) await this.#subscription.drain()
    else if (!this.#subscription.isClosed()) this.#subscription.unsubscribe()
  }

  #receive(message: Msg): void {
    this.#lastHeardAt = Date.now()
    if (isDelivery(message)) {
      this.#failures = 0
      this.#use(1)
      this.#events.message(message)
      return
    }
    const code = message.headers?.code ?? 0
    const isLost = message.subject !== this.#prefix + this.#generation
    if (code === 100 || this.#stopped || isLost) return
    const isOver = code === 409 && message.headers?.description === 'Batch Completed'
    if (code === 408 || code === 404 || isOver) {
      // The server spreads messages over the open pulls, so only it knows what was left of this one.
      this.#use(Number(message.headers?.get('Nats-Pending-Messages')) || 0)
      this.#events.ready()
      return
    }
    // 409: leader changed, server going away, consumer deleted, too much asked; 503: nobody listens.
    this.#retryLater(code === 503)
  }

  #use(count: number): void {
    this.#requested = Math.max(0, this.#requested - count)
  }

  #forgetAll(): void {
    if (this.#stopped) return
    this.#requested = 0
    this.#generation++
    clearTimeout(this.#backoff)
    this.#backoff = undefined
    this.#lastHeardAt = Date.now()
    this.#events.ready()
  }

  #retryLater(missing: boolean): void {
    if (this.#backoff !== undefined) return
    if (missing) this.#events.missing()
    const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** this.#failures++)
    this.#backoff = setTimeout(
      () => {
        this.#backoff = undefined
        this.#forgetAll()
      },
      ceiling / 2 + Math.random() * (ceiling / 2),
    )
  }

  #checkSilence(): void {
    if (this.#requested === 0 || !this.#wire.connected) return
    if (Date.now() - this.#lastHeardAt > MISSED_HEARTBEATS * this.#options.heartbeatMs) this.#forgetAll()
  }
}
