import { setTimeout as sleep } from 'node:timers/promises'
import { type Connection, type Wire, wireOf } from './connection.js'
import { PublishError } from './errors.js'
import { type OutgoingMessage, type PublishOutcome, transmitOne, unsendable } from './transmit.js'

export interface WindowPublisherOptions {
  stream: string
  /** Most unacknowledged messages at a time. Default 1,000. */
  window?: number
  /** How long to wait for one acknowledgement. Default 5,000. */
  timeoutMs?: number
  /** How long to repeat what is unknown or unavailable. Default 10,000. */
  giveUpMs?: number
}

/**
 * Single publishes with message ids, many on their way at a time, in order: for streams that take no atomic
 * batches. A message with an id is stored once within the stream's dedupe window, however often it is repeated.
 */
export interface WindowPublisher extends AsyncDisposable {
  /** Resolves with the sequence in the stream. @throws PublishError */
  publish(message: OutgoingMessage): Promise<number>
  /** One outcome per message, in the order given; never rejects. Repeated messages may be stored out of order. */
  publishAll(messages: readonly OutgoingMessage[]): Promise<PublishOutcome[]>
}

const RETRY_MIN_MS = 25
const RETRY_MAX_MS = 1_000

class SlidingWindow implements WindowPublisher {
  readonly #wire: Wire
  readonly #window: number
  readonly #giveUpMs: number
  readonly #transmission: { stream: string; timeoutMs: number; withId: true }
  readonly #queue: (() => void)[] = []
  #queueHead = 0
  #inFlight = 0
  #closed = false
  readonly #open = new Set<Promise<unknown>>()

  constructor(wire: Wire, options: WindowPublisherOptions) {
    this.#wire = wire
    this.#window = options.window ?? 1_000
    this.#giveUpMs = options.giveUpMs ?? 10_000
    this.#transmission = { stream: options.stream, timeoutMs: options.timeoutMs ?? 5_000, withId: true }
  }

  async publish(message: OutgoingMessage): Promise<number> {
    const [outcome] = await this.publishAll([message])
    if (outcome?.ok === true) return outcome.sequence ?? 0
    throw outcome?.error ?? closedError()
  }

  publishAll(messages: readonly OutgoingMessage[]): Promise<PublishOutcome[]> {
    if (this.#closed) return Promise.resolve(messages.map(() => ({ ok: false, error: closedError() })))
    const work = this.#publishAll(messages)
    this.#open.add(work)
    work.finally(() => this.#open.delete(work))
    return work
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#open)
  }

  async #publishAll(messages: readonly OutgoingMessage[]): Promise<PublishOutcome[]> {
    const giveUpAt = Date.now() + this.#giveUpMs
    const outcomes = new Array<PublishOutcome>(messages.length)
    let open: number[] = []
    messages.forEach((message, index) => {
      const error = unsendable(this.#wire, message)
      if (error === undefined) open.push(index)
      else outcomes[index] = { ok: false, error }
    })
    for (let attempt = 0; open.length > 0; attempt++) {
      await this.#transmit(messages, open, outcomes)
      open = open.filter((index) => {
        const outcome = outcomes[index] as PublishOutcome
        return !outcome.ok && (outcome.error.code === 'TIMEOUT' || outcome.error.code === 'UNAVAILABLE')
      })
      if (open.length === 0) break
      const ceiling = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** attempt)
      const waitMs = ceiling / 2 + Math.random() * (ceiling / 2)
      if (this.#wire.closed || Date.now() + waitMs >= giveUpAt) break
      await sleep(waitMs)
    }
    return outcomes
  }

  #transmit(
    messages: readonly OutgoingMessage[],
    indexes: readonly number[],
    outcomes: PublishOutcome[],
  ): Promise<void> {
    if (indexes.length === 0) return Promise.resolve()
    return new Promise((resolve) => {
      let open = indexes.length
      for (const index of indexes) {
        const send = (): void => {
          this.#inFlight++
          transmitOne(this.#wire, messages[index] as OutgoingMessage, this.#transmission, (outcome) => {
            outcomes[index] = outcome
            this.#landed()
            if (--open === 0) resolve()
          })
        }
        if (this.#inFlight < this.#window) send()
        else this.#queue.push(send)
      }
    })
  }

  #landed(): void {
    this.#inFlight--
    while (this.#inFlight < this.#window && this.#queueHead < this.#queue.length) {
      const send = this.#queue[this.#queueHead++]
      send?.()
    }
    if (this.#queueHead === this.#queue.length) {
      this.#queue.length = 0
      this.#queueHead = 0
    }
  }
}

function closedError(): PublishError {
  return new PublishError('UNAVAILABLE', 'The publisher is closed.')
}

/** A publisher for one stream, LIVE above all. Disposing it waits for what is on its way. */
export function createWindowPublisher(
  connection: Connection,
  options: WindowPublisherOptions,
): WindowPublisher {
  return new SlidingWindow(wireOf(connection), options)
}
