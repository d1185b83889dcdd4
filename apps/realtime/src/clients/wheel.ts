/** What the wheel turns: called once a round. */
export interface Member {
  beat(nowMs: number): void
}

/**
 * One timer for all connections. Each tick beats one bucket of members, so that pings never come all together, and
 * runs what is due; a moment is kept to the tick.
 */
export class Wheel {
  readonly #buckets: Set<Member>[]
  readonly #tickMs: number
  readonly #now: () => number
  readonly #timer: NodeJS.Timeout
  readonly #agenda = new Map<number, Set<() => void>>()
  #turn = 0
  #next = 0

  constructor(options: { roundMs: number; ticks: number; now: () => number }) {
    this.#buckets = Array.from({ length: options.ticks }, () => new Set())
    this.#tickMs = options.roundMs / options.ticks
    this.#now = options.now
    this.#timer = setInterval(() => this.#tick(), this.#tickMs)
  }

  /** Adds a member to the next bucket in order; returns the way out. */
  add(member: Member): () => void {
    this.#next = (this.#next + 1) % this.#buckets.length
    const bucket = this.#buckets[this.#next] as Set<Member>
    bucket.add(member)
    return () => bucket.delete(member)
  }

  /** Runs `run` at the first tick after `delayMs`; returns the way to cancel. */
  after(delayMs: number, run: () => void): () => void {
    // part of the present tick is over already
    const turn = this.#turn + 1 + Math.max(0, Math.ceil(delayMs / this.#tickMs))
    const due = this.#agenda.get(turn) ?? new Set()
    this.#agenda.set(turn, due)
    due.add(run)
    return () => due.delete(run)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #tick(): void {
    this.#turn++
    const due = this.#agenda.get(this.#turn)
    this.#agenda.delete(this.#turn)
    for (const run of due ?? []) run()
    const now = this.#now()
    for (const member of this.#buckets[this.#turn % this.#buckets.length] ?? []) member.beat(now)
  }
}
