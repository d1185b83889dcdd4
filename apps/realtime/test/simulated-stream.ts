import type { CoreMessage, CoreSubscription } from '@carillon/jetstream'
import type { LiveSource, StoredBody } from '../src/stream/live-source.js'
import type { StreamHead } from '../src/stream/recovery.js'

/** One stored message as it truly is. */
export interface Stored {
  subject: string
  sequence: number
  previous: number
}

/** A question on its way to the server, or its answer on the way back. */
interface Question {
  compute(): void
  answer: (() => void) | undefined
  fail(): void
}

interface Subscription {
  subject: string
  onMessage: (message: CoreMessage) => void
  /** Known to the server. */
  active: boolean
}

const BODY = Buffer.from('{"a":1}')

/**
 * A stream whose network does what it is told: live messages wait in `flying` until they are delivered, doubled or
 * lost, questions wait until they are computed, answered or fail, each at a moment of its own.
 */
export class SimulatedStream implements LiveSource {
  connected = true
  readonly flying: { subscription: Subscription; message: Stored }[] = []
  readonly questions: Question[] = []
  /** Everything ever stored under an epoch, evicted or not. */
  readonly truth = new Map<string, Stored[]>()
  readonly #maxPerSubject: number
  readonly #subscriptions = new Set<Subscription>()
  readonly #listeners = new Set<() => void>()
  #kept: Stored[] = []
  #lastSequence = 0
  /** Messages go by more than the limit of their own subject. */
  #shrinks = false
  #run = 0

  constructor(maxPerSubject: number) {
    this.#maxPerSubject = maxPerSubject
    this.truth.set(this.epoch, [])
  }

  get epoch(): string {
    return `run-${this.#run}`
  }

  store(subject: string): void {
    const previous = this.#lastOf(subject)
    this.#lastSequence++
    const message = { subject, sequence: this.#lastSequence, previous }
    this.truth.get(this.epoch)?.push(message)
    this.#kept.push(message)
    const own = this.#kept.filter((kept) => kept.subject === subject)
    if (own.length > this.#maxPerSubject) this.#kept = this.#kept.filter((kept) => kept !== own[0])
    if (!this.connected) return
    for (const subscription of this.#subscriptions) {
      if (subscription.active && subscription.subject === live(subject)) {
        this.flying.push({ subscription, message })
      }
    }
  }

  /** Lets a live message arrive; it stays on its way when it is to come again. */
  deliver(index: number, again: boolean): void {
    const flight = this.flying[index]
    if (flight === undefined) return
    if (!again) this.flying.splice(index, 1)
    const { subscription, message } = flight
    if (!this.#subscriptions.has(subscription)) return
    subscription.onMessage({
      subject: subscription.subject,
      body: BODY,
      sequence: message.sequence,
      previousSequence: message.previous,
      header: () => undefined,
    } as unknown as CoreMessage)
  }

  /** Whether all that lies between two places was evicted, and something was. */
  evicted(subject: string, after: number, before: number): boolean {
    const between = (this.truth.get(this.epoch) ?? []).filter(
      (message) => message.subject === subject && message.sequence > after && message.sequence < before,
    )
    return between.length > 0 && between.every((message) => !this.#kept.includes(message))
  }

  /** The oldest messages go, whatever they are. */
  evict(count: number): void {
    this.#shrinks = true
    this.#kept.splice(0, count)
  }

  disconnect(): void {
    this.connected = false
    this.flying.length = 0
    for (const subscription of this.#subscriptions) subscription.active = false
    for (const question of this.questions.splice(0)) question.fail()
  }

  reconnect(): void {
    if (this.connected) return
    this.connected = true
    for (const listener of this.#listeners) listener()
  }

  /** A new run of the server, whose last messages may not have reached the disk. */
  restart(forgotten: number): void {
    this.disconnect()
    const old = this.truth.get(this.epoch) ?? []
    const left = old.slice(0, Math.max(0, old.length - forgotten))
    this.#run++
    this.#lastSequence = left.at(-1)?.sequence ?? 0
    this.#kept = this.#kept.filter(({ sequence }) => sequence <= this.#lastSequence)
    this.truth.set(this.epoch, left)
  }

  /** The stream is deleted and made anew under a running server. */
  recreate(): void {
    this.flying.length = 0
    this.#run++
    this.#lastSequence = 0
    this.#kept = []
    this.truth.set(this.epoch, [])
  }

  subscribe(subject: string, onMessage: (message: CoreMessage) => void): CoreSubscription {
    const subscription = { subject, onMessage, active: false }
    this.#subscriptions.add(subscription)
    return { stop: () => this.#subscriptions.delete(subscription) }
  }

  flush(): Promise<void> {
    return this.#ask(() => {
      for (const subscription of this.#subscriptions) subscription.active = true
    })
  }

  read(subject: string, fromSequence: number, limit: number): Promise<StoredBody[]> {
    return this.#ask(() =>
      this.#kept
        .filter((message) => message.subject === subject && message.sequence >= fromSequence)
        .slice(0, limit)
        .map(({ sequence }) => ({ sequence, body: BODY, headers: new Map<string, string>() })),
    )
  }

  last(subject: string): Promise<number> {
    return this.#ask(() => this.#lastOf(subject))
  }

  head(): Promise<StreamHead> {
    return this.#ask(() => ({
      epoch: this.epoch,
      firstSequence: this.#kept[0]?.sequence ?? this.#lastSequence + 1,
      lastSequence: this.#lastSequence,
      maxPerSubject: this.#maxPerSubject,
      shrinks: this.#shrinks,
    }))
  }

  onReconnect(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #lastOf(subject: string): number {
    return this.#kept.findLast((message) => message.subject === subject)?.sequence ?? 0
  }

  #ask<T>(compute: () => T): Promise<T> {
    if (!this.connected) return Promise.reject(new Error('away'))
    return new Promise((resolve, reject) => {
      const question: Question = {
        compute: () => {
          if (question.answer !== undefined) return
          const value = compute()
          question.answer = () => resolve(value)
        },
        answer: undefined,
        fail: () => reject(new Error('failed')),
      }
      this.questions.push(question)
    })
  }
}

/** Where messages of a stored subject are heard. */
export function live(subject: string): string {
  return subject.replace(/^rt\./, 'live.')
}
