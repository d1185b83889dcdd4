import type { Wire } from './connection.js'
import { DEAD_LETTERED, deadLetter, oneLine } from './dead-letters.js'
import type { Delivery } from './delivery-buffer.js'
import type { Outcome } from './outcomes.js'
import type { WindowPublisher } from './window-publisher.js'

const ACK = new Uint8Array(0)
const WORKING = Buffer.from('+WPI')
const DEAD_LETTER_FAILED_MS = 5_000

/** Ends the server's wait for a message. Nothing is awaited: a lost acknowledgement is a redelivery. */
export class Settler {
  readonly #wire: Wire
  readonly #deadLetters: WindowPublisher
  readonly #durable: string

  constructor(wire: Wire, deadLetters: WindowPublisher, durable: string) {
    this.#wire = wire
    this.#deadLetters = deadLetters
    this.#durable = durable
  }

  ack(delivery: Delivery): void {
    this.#say(delivery, ACK)
  }

  /** Comes again after the time plus up to a quarter of it. */
  retry(delivery: Delivery, afterMs: number): void {
    const delay = Math.round(afterMs * (1 + Math.random() / 4)) * 1_000_000
    this.#say(delivery, delay > 0 ? `-NAK {"delay":${delay}}` : '-NAK')
  }

  /** Gives it back: it was not begun and comes again at once, to another worker where there is one. */
  release(delivery: Delivery): void {
    this.#say(delivery, '-NAK')
  }

  working(delivery: Delivery): void {
    this.#say(delivery, WORKING)
  }

  /**
   * Writes dead letters, then ends their messages. A letter that can't be stored leaves its message to be
   * delivered again. Returns how many were written.
   */
  async bury(dead: readonly { delivery: Delivery; reason: string }[]): Promise<number> {
    const at = new Date()
    const letters = dead.map(({ delivery, reason }) => {
      const { received } = delivery
      const headers = received.headerNames().map((name) => [name, received.header(name) ?? ''] as const)
      const { stream, subject, sequence, deliveries, body } = received
      return deadLetter(
        { stream, durable: this.#durable, subject, sequence, deliveries, reason, body, headers },
        at,
      )
    })
    const outcomes = await this.#deadLetters.publishAll(letters)
    let written = 0
    for (const [index, outcome] of outcomes.entries()) {
      const { delivery, reason } = dead[index] as { delivery: Delivery; reason: string }
      if (outcome.ok) {
        this.#say(delivery, `+TERM ${DEAD_LETTERED}: ${oneLine(reason)}`)
        written++
      } else {
        this.retry(delivery, DEAD_LETTER_FAILED_MS)
      }
    }
    return written
  }

  #say(delivery: Delivery, what: Uint8Array | string): void {
    if (!this.#wire.closed) this.#wire.nats.publish(delivery.reply, what)
  }
}

/** Splits the outcomes of a batch into what is done for each kind. */
export function sortOutcomes(
  settler: Settler,
  batch: readonly Delivery[],
  outcomes: readonly Outcome[],
): { done: number; retried: number; dead: { delivery: Delivery; reason: string }[] } {
  let done = 0
  let retried = 0
  const dead: { delivery: Delivery; reason: string }[] = []
  for (let index = 0; index < batch.length; index++) {
    const delivery = batch[index] as Delivery
    const outcome = outcomes[index] as Outcome
    if (outcome.kind === 'done') {
      settler.ack(delivery)
      done++
    } else if (outcome.kind === 'retry') {
      settler.retry(delivery, outcome.afterMs)
      retried++
    } else {
      dead.push({ delivery, reason: outcome.reason })
    }
  }
  return { done, retried, dead }
}
