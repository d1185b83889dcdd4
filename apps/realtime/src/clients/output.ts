import type { Socket } from 'node:net'

/** While thousands connect at once, one turn of the event loop takes seconds: what it brings waits no longer than this. */
const MOST_WAIT_MS = 10

/** Writes what connections were given during one turn of the event loop, one write per socket. */
export class Flusher {
  #dirty: Output[] = []
  #turn: NodeJS.Immediate | undefined
  #since = 0
  #hurried = false

  add(output: Output): void {
    this.#dirty.push(output)
    if (this.#turn === undefined) {
      this.#since = performance.now()
      this.#turn = setImmediate(() => this.flush())
    } else if (!this.#hurried && performance.now() - this.#since > MOST_WAIT_MS) {
      this.#hurried = true
      process.nextTick(() => this.flush())
    }
  }

  flush(): void {
    clearImmediate(this.#turn)
    this.#turn = undefined
    this.#hurried = false
    const dirty = this.#dirty
    this.#dirty = []
    let parts: readonly Buffer[] = []
    let joined: Buffer | undefined
    for (const output of dirty) {
      const taken = output.take()
      if (taken.length === 0) continue
      // subscribers of the same channels have the same parts: join once for all of them
      if (joined === undefined || !sameParts(parts, taken)) {
        parts = taken
        joined = taken.length === 1 ? (taken[0] as Buffer) : Buffer.concat(taken)
      }
      output.write(joined)
    }
  }
}

function sameParts(a: readonly Buffer[], b: readonly Buffer[]): boolean {
  if (a.length !== b.length) return false
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false
  return true
}

const NOTHING: readonly Buffer[] = []
/** Who leaves this much unread gets only the newest of what has no history. */
const CONFLATE_ABOVE_BYTES = 256 * 1024
/** Most keys that wait for one client. */
const MAX_CONFLATED = 256

/** The sending half of one connection, bounded by what the other side has not taken yet. */
export class Output {
  readonly #socket: Socket
  readonly #flusher: Flusher
  readonly #maxBytes: number
  readonly #onSlow: () => void
  /** Undefined while nothing waits: most connections are idle. */
  #parts: Buffer[] | undefined
  /** What waits until the other side has taken more, newest per key; undefined while nothing does. */
  #conflated: Map<string, Buffer> | undefined
  #ended = false

  constructor(socket: Socket, options: { flusher: Flusher; maxBytes: number; onSlow: () => void }) {
    this.#socket = socket
    this.#flusher = options.flusher
    this.#maxBytes = options.maxBytes
    this.#onSlow = options.onSlow
  }

  /** Sends `bytes` with whatever else this turn brings. */
  push(bytes: Buffer): void {
    if (this.#ended) return
    if (this.#parts === undefined) {
      this.#parts = [bytes]
      this.#flusher.add(this)
    } else this.#parts.push(bytes)
  }

  /**
   * Sends `bytes` unless the other side is behind: then they wait, and newer ones of the same key take their place.
   */
  pushNewest(key: string, bytes: Buffer): void {
    if (this.#ended) return
    if (this.#conflated === undefined && this.#socket.writableLength <= CONFLATE_ABOVE_BYTES) {
      this.push(bytes)
      return
    }
    if (this.#conflated === undefined) {
      this.#conflated = new Map()
      this.#socket.once('drain', () => this.#release())
    }
    this.#conflated.delete(key)
    this.#conflated.set(key, bytes)
    // keys are the publishers' choice: what was newest longest ago goes
    if (this.#conflated.size > MAX_CONFLATED) {
      this.#conflated.delete(this.#conflated.keys().next().value as string)
    }
  }

  take(): readonly Buffer[] {
    const parts = this.#parts
    this.#parts = undefined
    return parts ?? NOTHING
  }

  /**
   * Writes one turn's bytes. Slow is who has not taken what earlier turns left, so that one large turn (a replay)
   * makes nobody slow; the queue stays below the limit and one turn.
   */
  write(bytes: Buffer): void {
    if (this.#ended || !this.#socket.writable) return
    if (this.#socket.writableLength > this.#maxBytes) this.#onSlow()
    else this.#socket.write(bytes)
  }

  #release(): void {
    const waiting = this.#conflated
    this.#conflated = undefined
    for (const bytes of waiting?.values() ?? []) this.push(bytes)
  }

  /** Sends what is pending and `last`, then closes. The caller destroys a socket that never takes it. */
  end(last?: Buffer): void {
    if (this.#ended) return
    const parts = last === undefined ? this.take() : [...this.take(), last]
    this.#ended = true
    if (this.#socket.writable) this.#socket.end(Buffer.concat(parts))
  }

  /** Forgets what is pending: the other side does not take it. */
  abandon(last: Buffer): void {
    this.take()
    this.end(last)
  }
}
