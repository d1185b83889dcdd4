import { type Alarm, backoffMs, createAlarm } from '../backoff.js'
import { CarillonError } from '../errors.js'
import { begin, confirm, type Mark, type PendingMark, postpone, refuse, send } from './marks.js'
import type { InboxModel } from './model.js'

const MAX_WAITING = 500

export interface MarkQueueDeps {
  model: () => InboxModel
  change: (model: InboxModel) => void
  send: (mark: Mark) => Promise<void>
  /** Keeps what waits, oldest first, until the next visit. */
  keep: (waiting: readonly PendingMark[]) => void
  refused: (error: unknown) => void
  now: () => number
}

interface Waiter {
  resolve: () => void
  reject: (error: unknown) => void
}

/** Sends marks one after the other, in the order in which they were made, until each is done or refused. */
export class MarkQueue {
  readonly #deps: MarkQueueDeps
  readonly #waiters = new Map<string, Waiter>()
  readonly #again: Alarm
  #failures = 0
  #restored = false
  #sending = false
  #retryAfter = false
  #stopped = false

  constructor(deps: MarkQueueDeps) {
    this.#deps = deps
    this.#again = createAlarm(() => this.#drain())
  }

  /** Resolves when the server has done it, or it is kept for later. @throws CarillonError, UnauthorizedError */
  add(mark: Mark): Promise<void> {
    if (mark.ids.length === 0 && mark.kind !== 'read-all') return Promise.resolve()
    const { model, change, keep, now } = this.#deps
    if (model().pending.length >= MAX_WAITING) {
      return Promise.reject(new CarillonError('QUEUE_FULL', `${MAX_WAITING} marks wait already.`))
    }
    const key = crypto.randomUUID()
    const done = new Promise<void>((resolve, reject) => this.#waiters.set(key, { resolve, reject }))
    change(begin(model(), { key, mark, at: new Date(now()).toISOString(), sent: undefined }))
    this.#resolveReplaced()
    keep(model().pending)
    this.#drain()
    return done
  }

  /** Takes up what waited since the last visit. Nothing is sent before this, so that the newer mark wins. */
  restore(waiting: readonly PendingMark[]): void {
    const { model, change } = this.#deps
    this.#restored = true
    const known = new Set(model().pending.map(({ key }) => key))
    const before = waiting.filter(({ key }) => !known.has(key)).map((one) => ({ ...one, sent: undefined }))
    if (before.length > 0) change({ ...model(), pending: [...before, ...model().pending] })
    this.#drain()
  }

  /** There is a connection again, or the network is back. */
  retry(): void {
    this.#again.clear()
    this.#failures = 0
    // what is being sent may fail for the old reason
    this.#retryAfter = this.#sending
    this.#drain()
  }

  stop(): void {
    this.#stopped = true
    this.giveUp(new CarillonError('DISPOSED', 'The client was disposed.'))
  }

  /** Whoever still waits is told why it will not be done. */
  giveUp(why: CarillonError): void {
    this.#again.clear()
    for (const { reject } of this.#waiters.values()) reject(why)
    this.#waiters.clear()
  }

  /** Marks that a later one replaced before they were sent are as good as done. */
  #resolveReplaced(): void {
    const waiting = new Set(this.#deps.model().pending.map(({ key }) => key))
    for (const [key, { resolve }] of this.#waiters) {
      if (waiting.has(key)) continue
      this.#waiters.delete(key)
      resolve()
    }
  }

  #drain(): void {
    if (!this.#restored || this.#sending || this.#stopped) return
    const next = this.#deps.model().pending[0]
    if (next === undefined) return
    this.#sending = true
    this.#retryAfter = false
    void this.#send(next).then((goOn) => {
      this.#sending = false
      if (goOn || this.#retryAfter) this.#drain()
    })
  }

  /** False when what waits has to wait longer. */
  async #send({ key, mark }: PendingMark): Promise<boolean> {
    const { model, change, keep, refused } = this.#deps
    change(send(model(), key))
    const waiter = this.#waiters.get(key)
    try {
      await this.#deps.send(mark)
      if (this.#stopped) return false
      change(confirm(model(), key))
      waiter?.resolve()
    } catch (error) {
      if (this.#stopped) return false
      if (isTemporary(error)) {
        change(postpone(model(), key))
        this.#resolveAll()
        this.#again.set(backoffMs(this.#failures++))
        return false
      }
      change(refuse(model(), key))
      refused(error)
      waiter?.reject(error)
    }
    this.#failures = 0
    this.#waiters.delete(key)
    keep(model().pending)
    return true
  }

  /** Whoever waits is told that it is kept. */
  #resolveAll(): void {
    for (const { resolve } of this.#waiters.values()) resolve()
    this.#waiters.clear()
  }
}

function isTemporary(error: unknown): boolean {
  if (!(error instanceof CarillonError)) return false
  const { code, status = 0 } = error
  return code === 'OFFLINE' || status === 429 || status >= 500
}
