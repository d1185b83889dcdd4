import type { Received } from './received.js'

/** A message that the consumer holds: it takes one of its `max_ack_pending` places until it is settled. */
export interface Delivery {
  received: Received
  /** Where its acknowledgement goes. */
  reply: string
  /** When the server last heard that it is being worked on. */
  leasedAt: number
}

/** Delivered this often without a decision, a message may be what kills its worker. */
const SUSPECT_FROM = 3
/** From here on it goes alone. */
const ALONE_FROM = 6
/** One turn in this many is for suspects while others wait. */
const SUSPECT_TURN = 4

/**
 * What was pulled and has not begun. Messages that failed alone before go alone; those delivered often come in
 * small groups in random order that grow with success, so that a message which kills its worker takes few
 * neighbours with it and the others get through in the next life.
 */
export class DeliveryBuffer {
  readonly #maxBatch: number
  readonly #isIsolated: (sequence: number) => boolean
  #fresh: Delivery[] = []
  #suspects: Delivery[] = []
  #suspectSize = 1
  #turn = 0

  constructor(maxBatch: number, isIsolated: (sequence: number) => boolean) {
    this.#maxBatch = maxBatch
    this.#isIsolated = isIsolated
  }

  get size(): number {
    return this.#fresh.length + this.#suspects.length
  }

  get hasFullBatch(): boolean {
    return this.#fresh.length >= this.#maxBatch
  }

  get hasSuspects(): boolean {
    return this.#suspects.length > 0
  }

  add(delivery: Delivery): void {
    const { deliveries, sequence } = delivery.received
    if (deliveries >= SUSPECT_FROM || (deliveries > 1 && this.#isIsolated(sequence)))
      this.#suspects.push(delivery)
    else this.#fresh.push(delivery)
  }

  /** The next messages to handle together; empty when there are none. */
  take(): Delivery[] {
    const suspectsTurn =
      this.#suspects.length > 0 && (this.#fresh.length === 0 || ++this.#turn % SUSPECT_TURN === 0)
    return suspectsTurn ? this.#takeSuspects() : this.#takeFresh()
  }

  takeAll(): Delivery[] {
    const all = [...this.#fresh, ...this.#suspects]
    this.#fresh = []
    this.#suspects = []
    return all
  }

  /** What waits, to keep its lease. */
  *[Symbol.iterator](): Iterator<Delivery> {
    yield* this.#fresh
    yield* this.#suspects
  }

  /** A group of suspects went well, or did not. */
  learn(went: 'well' | 'wrong'): void {
    this.#suspectSize = went === 'well' ? Math.min(this.#maxBatch, this.#suspectSize * 2) : 1
  }

  #takeFresh(): Delivery[] {
    if (this.#fresh.length <= this.#maxBatch) {
      const batch = this.#fresh
      this.#fresh = []
      return batch
    }
    const batch = this.#fresh.slice(0, this.#maxBatch)
    this.#fresh = this.#fresh.slice(this.#maxBatch)
    return batch
  }

  #takeSuspects(): Delivery[] {
    const group: Delivery[] = []
    while (group.length < this.#suspectSize && this.#suspects.length > 0) {
      const index = Math.floor(Math.random() * this.#suspects.length)
      const delivery = this.#suspects[index] as Delivery
      const { deliveries, sequence } = delivery.received
      const alone = deliveries >= ALONE_FROM || this.#isIsolated(sequence)
      if (alone && group.length > 0) break
      this.#suspects[index] = this.#suspects[this.#suspects.length - 1] as Delivery
      this.#suspects.pop()
      group.push(delivery)
      if (alone) break
    }
    return group
  }
}
