import { type Connection, type Wire, wireOf } from './connection.js'
import { PublishError } from './errors.js'
import { FullSubjects } from './full-subjects.js'
import { publishGroup } from './publish-group.js'
import type { OutgoingMessage, PublishOutcome } from './transmit.js'

export interface PublisherOptions {
  /** How long a call may wait for company while another batch is on its way. Default 2. */
  windowMs?: number
  /** Most messages in one batch; the server takes 1,000. Default 1,000. */
  maxBatch?: number
  /** How long to wait for one acknowledgement before the publish is unknown and repeated. Default 3,000. */
  timeoutMs?: number
  /** How long to repeat what is unknown or unavailable. Default 10,000. */
  giveUpMs?: number
}

/**
 * Publishes at least once. Acknowledged means stored, on disk where the server syncs always. A repeated publish
 * may store a message twice: consumers know it by its id.
 */
export interface Publisher extends AsyncDisposable {
  /**
   * Resolves with the sequence in the stream. Alone it goes out at once; calls that come while a batch is on its
   * way leave together in the next one.
   * @throws PublishError
   */
  publish(stream: string, message: OutgoingMessage): Promise<number>
  /** One outcome per message, in the order given; never rejects. For hot paths: one promise per call. */
  publishAll(stream: string, messages: readonly OutgoingMessage[]): Promise<PublishOutcome[]>
}

interface Caller {
  message: OutgoingMessage
  resolve(sequence: number): void
  reject(error: PublishError): void
}

const MAX_IN_FLIGHT = 4
const SERVER_MAX_BATCH = 1_000

/** What waits to be published on one stream. */
class StreamQueue {
  readonly #send: (messages: OutgoingMessage[]) => Promise<PublishOutcome[]>
  readonly #maxBatch: number
  readonly #windowMs: number
  #callers: Caller[] = []
  #inFlight = 0
  #scheduled: NodeJS.Timeout | NodeJS.Immediate | undefined

  constructor(
    send: (messages: OutgoingMessage[]) => Promise<PublishOutcome[]>,
    limits: { maxBatch: number; windowMs: number },
  ) {
    this.#send = send
    this.#maxBatch = limits.maxBatch
    this.#windowMs = limits.windowMs
  }

  add(caller: Caller): void {
    this.#callers.push(caller)
    if (this.#callers.length >= this.#maxBatch && this.#inFlight < MAX_IN_FLIGHT) this.#flush()
    else this.#schedule()
  }

  /** Idle: at the end of this turn of the event loop. Busy: when the window is over or a batch has landed. */
  #schedule(): void {
    if (this.#scheduled !== undefined || this.#inFlight >= MAX_IN_FLIGHT) return
    const flush = (): void => {
      this.#scheduled = undefined
      this.#flush()
    }
    this.#scheduled = this.#inFlight === 0 ? setImmediate(flush) : setTimeout(flush, this.#windowMs)
  }

  #flush(): void {
    const callers = this.#callers.splice(0, this.#maxBatch)
    if (callers.length === 0) return
    this.#inFlight++
    this.#send(callers.map((caller) => caller.message)).then((outcomes) => {
      this.#inFlight--
      if (this.#callers.length > 0) this.#flush()
      outcomes.forEach((outcome, index) => {
        if (outcome.ok) callers[index]?.resolve(outcome.sequence ?? 0)
        else callers[index]?.reject(outcome.error)
      })
    })
    if (this.#callers.length > 0) this.#schedule()
  }
}

class BatchPublisher implements Publisher {
  readonly #wire: Wire
  readonly #maxBatch: number
  readonly #windowMs: number
  readonly #timeoutMs: number
  readonly #giveUpMs: number
  readonly #queues = new Map<string, StreamQueue>()
  readonly #full = new Map<string, FullSubjects>()
  readonly #singlesOnly = new Set<string>()
  readonly #open = new Set<Promise<unknown>>()
  #closed = false

  constructor(wire: Wire, options: PublisherOptions) {
    this.#wire = wire
    this.#maxBatch = Math.min(options.maxBatch ?? SERVER_MAX_BATCH, SERVER_MAX_BATCH)
    this.#windowMs = options.windowMs ?? 2
    this.#timeoutMs = options.timeoutMs ?? 3_000
    this.#giveUpMs = options.giveUpMs ?? 10_000
  }

  publish(stream: string, message: OutgoingMessage): Promise<number> {
    if (this.#closed) return Promise.reject(closedError())
    let queue = this.#queues.get(stream)
    if (queue === undefined) {
      queue = new StreamQueue((messages) => this.#track(this.#publishAll(stream, messages)), {
        maxBatch: this.#maxBatch,
        windowMs: this.#windowMs,
      })
      this.#queues.set(stream, queue)
    }
    const target = queue
    return this.#track(new Promise((resolve, reject) => target.add({ message, resolve, reject })))
  }

  publishAll(stream: string, messages: readonly OutgoingMessage[]): Promise<PublishOutcome[]> {
    if (this.#closed) return Promise.resolve(messages.map(() => ({ ok: false, error: closedError() })))
    return this.#track(this.#publishAll(stream, messages))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#open)
  }

  async #publishAll(stream: string, messages: readonly OutgoingMessage[]): Promise<PublishOutcome[]> {
    const context = {
      wire: this.#wire,
      stream,
      full: this.#fullSubjects(stream),
      timeoutMs: this.#timeoutMs,
      giveUpAt: Date.now() + this.#giveUpMs,
      singlesOnly: this.#singlesOnly,
    }
    if (messages.length <= this.#maxBatch) return publishGroup(context, messages)
    const groups: Promise<PublishOutcome[]>[] = []
    for (let start = 0; start < messages.length; start += this.#maxBatch) {
      if (groups.length >= MAX_IN_FLIGHT) await groups[groups.length - MAX_IN_FLIGHT]
      groups.push(publishGroup(context, messages.slice(start, start + this.#maxBatch)))
    }
    return (await Promise.all(groups)).flat()
  }

  #fullSubjects(stream: string): FullSubjects {
    let full = this.#full.get(stream)
    if (full === undefined) {
      full = new FullSubjects()
      this.#full.set(stream, full)
    }
    return full
  }

  #track<T>(work: Promise<T>): Promise<T> {
    this.#open.add(work)
    const forget = (): void => {
      this.#open.delete(work)
    }
    work.then(forget, forget)
    return work
  }
}

function closedError(): PublishError {
  return new PublishError('UNAVAILABLE', 'The publisher is closed.')
}

/** The one publisher of a process. Disposing it waits for what is on its way; the connection stays open. */
export function createPublisher(connection: Connection, options: PublisherOptions = {}): Publisher {
  return new BatchPublisher(wireOf(connection), options)
}
