import type { Msg } from '@nats-io/transport-node'
import { type Connection, type Wire, wireOf } from './connection.js'
import { type ConsumerLimits, consumerLimits, whenCaughtUp } from './consumer-state.js'
import { DEAD_LETTER_STREAM } from './dead-letters.js'
import { type Delivery, DeliveryBuffer } from './delivery-buffer.js'
import { Failures } from './failures.js'
import type { Outcome } from './outcomes.js'
import { PullSubscription } from './pull.js'
import { type Received, WireReceived } from './received.js'
import { Settler } from './settle.js'
import { createWindowPublisher, type WindowPublisher } from './window-publisher.js'
import { Worker } from './worker.js'

export interface ConsumeOptions {
  stream: string
  durable: string
  /** Most messages handed over together. */
  batch: number
  /** How many batches are handled at a time. */
  concurrency: number
  /** How long to wait for more when the server says that more is coming and the batch is not full. Default 2. */
  lingerMs?: number
  /** After how many throws alone a message is a dead letter. Default 5. */
  maxFailures?: number
  /** How long the server keeps a pull open. Default 5,000. */
  expiresMs?: number
  /** How often an idle server shows that it is there; three missed ones mean: ask again. Default 1,000. */
  heartbeatMs?: number
  /** How long `drain` waits for running handlers before it aborts their signal and gives up. Default 30,000. */
  drainTimeoutMs?: number
}

/**
 * Options for queues that may notice a silent server up to twelve seconds later. Idle they cost a fifth; messages come
 * as soon as in any other.
 */
export const PATIENT = { expiresMs: 20_000, heartbeatMs: 4_000 } as const

/**
 * Handles a batch and returns one outcome per message, in the same order. A throw says nothing of single
 * messages: the batch is tried again after a moment, then halved until what throws alone is found. An error with
 * `transient: true` means that the world is broken, not the message: the batch is held and tried until it goes.
 * Messages arrive at least once and not strictly in order.
 */
export type Handle = (batch: Received[], signal: AbortSignal) => Promise<Outcome[]> | Outcome[]

/** All optional; must not throw. */
export interface ConsumeHooks {
  /** A batch was handled and settled. */
  onBatch?: (batch: { done: number; retried: number; dead: number; handleMs: number }) => void
  /** The handler threw for a batch of `size`. */
  onFailure?: (error: unknown, size: number) => void
  /** A message became a dead letter. */
  onDead?: (message: Received, reason: string) => void
  /** The stream or the durable does not exist (or nobody answers for it); tried again until it does. */
  onMissing?: (error: Error) => void
}

export interface ConsumptionStats {
  /** Bound to its durable: it exists and was found. */
  bound: boolean
  received: number
  done: number
  retried: number
  dead: number
  failures: number
  /** Batches in handlers now. */
  running: number
  /** How long the oldest of them has been there, tries and pauses included: a handler that hangs shows here. */
  longestRunningMs: number
  /** Held and not begun. */
  buffered: number
  /** Asked for and not come. */
  requested: number
  /** Behind the last message received, as the server said then. */
  pending: number
}

export interface Consumption extends AsyncDisposable {
  /** Stops pulling, finishes what runs, gives back what has not begun. Idempotent. */
  drain(): Promise<void>
  /** Resolves when nothing is undelivered and nothing unacknowledged. Rejects when `signal` aborts. */
  whenCaughtUp(signal?: AbortSignal): Promise<void>
  stats(): ConsumptionStats
}

const EXPIRES_MS = 5_000
const HEARTBEAT_MS = 1_000

class DurableConsumption implements Consumption {
  readonly #wire: Wire
  readonly #options: ConsumeOptions
  readonly #pull: PullSubscription
  readonly #buffer: DeliveryBuffer
  readonly #worker: Worker
  readonly #settler: Settler
  readonly #deadLetters: WindowPublisher
  readonly #abort = new AbortController()
  /** Batches in handlers, oldest first, and since when. */
  readonly #running = new Map<readonly Delivery[], number>()
  readonly #slots = new Set<Promise<void>>()
  #limits: ConsumerLimits | undefined
  #capacity = 0
  #held = 0
  #received = 0
  #pending = 0
  #pumping: NodeJS.Immediate | undefined
  #linger: NodeJS.Timeout | undefined
  #lingered = false
  #leases: NodeJS.Timeout | undefined
  #draining: Promise<void> | undefined

  constructor(wire: Wire, options: ConsumeOptions, handle: Handle, hooks: ConsumeHooks) {
    this.#wire = wire
    this.#options = options
    const { stream, durable } = options
    const failures = new Failures(options.maxFailures ?? 5)
    this.#buffer = new DeliveryBuffer(options.batch, (sequence) => failures.has(sequence))
    this.#deadLetters = createWindowPublisher(wire, { stream: DEAD_LETTER_STREAM })
    this.#settler = new Settler(wire, this.#deadLetters, durable)
    this.#worker = new Worker({
      handle,
      hooks,
      failures,
      settler: this.#settler,
      signal: this.#abort.signal,
      isDraining: () => this.#draining !== undefined,
    })
    const pullOptions = {
      stream,
      durable,
      expiresMs: options.expiresMs ?? EXPIRES_MS,
      heartbeatMs: options.heartbeatMs ?? HEARTBEAT_MS,
    }
    this.#pull = new PullSubscription(wire, pullOptions, {
      message: (message) => this.#take(message),
      ready: () => this.#demand(),
      missing: () => hooks.onMissing?.(new Error(`Nobody answers for ${stream}/${durable}.`)),
    })
    this.#bind(hooks)
  }

  drain(): Promise<void> {
    this.#draining ??= this.#drain()
    return this.#draining
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.drain()
  }

  async whenCaughtUp(signal?: AbortSignal): Promise<void> {
    await whenCaughtUp(this.#wire, this.#options, signal)
  }

  stats(): ConsumptionStats {
    const [oldest = Date.now()] = this.#running.values()
    return {
      bound: this.#limits !== undefined,
      received: this.#received,
      ...this.#worker.counts,
      running: this.#running.size,
      longestRunningMs: Date.now() - oldest,
      buffered: this.#buffer.size,
      requested: this.#pull.requested,
      pending: this.#pending,
    }
  }

  async #bind(hooks: ConsumeHooks): Promise<void> {
    const limits = await consumerLimits(this.#wire, this.#options, {
      onMissing: (error) => hooks.onMissing?.(error),
      isDone: () => this.#draining !== undefined,
    })
    if (limits === undefined) return
    const { batch, concurrency } = this.#options
    this.#limits = limits
    // One batch more than is handled, so that the next is here when a handler ends.
    this.#capacity = Math.min(batch * (concurrency + 1), limits.maxAckPending)
    this.#leases = setInterval(() => this.#extendLeases(limits.ackWaitMs / 2), limits.ackWaitMs / 4)
    this.#demand()
  }

  /** Asks for what there is room for: what is held and what was asked for never exceed the capacity. */
  #demand(): void {
    if (this.#limits === undefined || this.#draining !== undefined) return
    const { requested } = this.#pull
    const room = this.#capacity - this.#held - requested
    if (room > 0 && (requested === 0 || room >= this.#options.batch >> 1)) this.#pull.demand(room)
  }

  #take(message: Msg): void {
    const received = new WireReceived(message)
    this.#received++
    this.#held++
    this.#pending = received.pending
    const delivery = { received, reply: message.reply ?? '', leasedAt: Date.now() }
    if (this.#draining !== undefined) {
      this.#held--
      this.#settler.release(delivery)
      return
    }
    this.#buffer.add(delivery)
    this.#pumping ??= setImmediate(() => {
      this.#pumping = undefined
      this.#pump()
    })
  }

  #pump(): void {
    while (
      this.#draining === undefined &&
      this.#running.size < this.#options.concurrency &&
      this.#buffer.size > 0
    ) {
      if (this.#shouldLinger()) break
      this.#lingered = false
      this.#start(this.#buffer.take())
    }
    this.#demand()
  }

  /** True while more is certainly coming and the batch is not full; for one short time per batch. */
  #shouldLinger(): boolean {
    if (this.#buffer.hasFullBatch || this.#buffer.hasSuspects || this.#lingered) return false
    if (this.#pending === 0 || this.#pull.requested === 0) return false
    this.#linger ??= setTimeout(() => {
      this.#linger = undefined
      this.#lingered = true
      this.#pump()
    }, this.#options.lingerMs ?? 2)
    return true
  }

  #start(batch: Delivery[]): void {
    this.#running.set(batch, Date.now())
    const suspects = (batch[0]?.received.deliveries ?? 1) > 1
    const slot = this.#worker.process(batch).then((went) => {
      this.#running.delete(batch)
      this.#slots.delete(slot)
      this.#held -= batch.length
      if (suspects || went === 'wrong') this.#buffer.learn(went)
      this.#pump()
    })
    this.#slots.add(slot)
  }

  #extendLeases(olderThanMs: number): void {
    const now = Date.now()
    const extend = (delivery: Delivery): void => {
      if (now - delivery.leasedAt < olderThanMs) return
      delivery.leasedAt = now
      this.#settler.working(delivery)
    }
    for (const batch of this.#running.keys()) batch.forEach(extend)
    for (const delivery of this.#buffer) extend(delivery)
  }

  async #drain(): Promise<void> {
    // `#draining` is set when this function first yields.
    await Promise.resolve()
    clearImmediate(this.#pumping)
    clearTimeout(this.#linger)
    this.#worker.wake()
    for (const delivery of this.#buffer.takeAll()) this.#settler.release(delivery)
    await this.#pull.stop().catch(() => undefined)
    const timer = setTimeout(() => this.#abort.abort(), this.#options.drainTimeoutMs ?? 30_000)
    const aborted = new Promise<void>((resolve) =>
      this.#abort.signal.addEventListener('abort', () => resolve()),
    )
    await Promise.race([Promise.all(this.#slots), aborted])
    clearTimeout(timer)
    clearInterval(this.#leases)
    this.#abort.abort()
    await this.#deadLetters[Symbol.asyncDispose]()
    // Acknowledgements of a connection that is gone are lost anyway: those messages come again.
    if (this.#wire.connected) await this.#wire.flush().catch(() => undefined)
  }
}

/**
 * Consumes a durable that the topology made; creates nothing. Runs until drained, through restarts of the server
 * and changes of leader. Back-pressure: no more is pulled than `batch × (concurrency + 1)` and the durable's
 * `max_ack_pending` allow; what is held keeps its lease while it waits or is handled.
 */
export function consume(
  connection: Connection,
  options: ConsumeOptions,
  handle: Handle,
  hooks: ConsumeHooks = {},
): Consumption {
  return new DurableConsumption(wireOf(connection), options, handle, hooks)
}
