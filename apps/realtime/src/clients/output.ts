import type { Socket } from 'node:net'
import { descriptorOf, holdsDescriptor, type NativeSend } from './native-send.js'

/** While thousands connect at once, one turn of the event loop takes seconds: what it brings waits no longer than this. */
const MOST_WAIT_MS = 10

/** Writes what connections were given during one turn of the event loop, one write per socket. */
export class Flusher {
  readonly nativeSend: NativeSend | undefined
  readonly #joiner = new Joiner()
  #dirty: Output[] = []
  #turn: NodeJS.Immediate | undefined
  #since = 0
  #hurried = false

  /** Without `nativeSend` everything goes through the sockets' streams. */
  constructor(nativeSend?: NativeSend) {
    this.nativeSend = nativeSend
  }

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
    for (const output of dirty) output.flush(this.#joiner)
    this.#joiner.forget()
  }
}

/** Subscribers of the same channels are given the same parts: they are joined once for all of them. */
class Joiner {
  #parts: readonly Buffer[] = []
  #joined: Buffer = EMPTY

  join(parts: readonly Buffer[]): Buffer {
    if (!sameParts(this.#parts, parts)) {
      this.#parts = parts
      this.#joined = Buffer.concat(parts)
    }
    return this.#joined
  }

  forget(): void {
    this.#parts = []
    this.#joined = EMPTY
  }
}

function sameParts(a: readonly Buffer[], b: readonly Buffer[]): boolean {
  if (a.length !== b.length) return false
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false
  return true
}

const EMPTY = Buffer.alloc(0)
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
  /** Negative where only the stream may write. */
  readonly #descriptor: number
  /** A turn mostly brings one thing, and most connections are idle: no list for these. */
  #pending: Buffer | Buffer[] | undefined
  /** What waits until the other side has taken more, newest per key; undefined while nothing does. */
  #conflated: Map<string, Buffer> | undefined
  #ended = false

  constructor(socket: Socket, options: { flusher: Flusher; maxBytes: number; onSlow: () => void }) {
    this.#socket = socket
    this.#flusher = options.flusher
    this.#maxBytes = options.maxBytes
    this.#onSlow = options.onSlow
    this.#descriptor = descriptorOf(socket)
  }

  /** Sends `bytes` with whatever else this turn brings. */
  push(bytes: Buffer): void {
    if (this.#ended) return
    const pending = this.#pending
    if (pending === undefined) {
      this.#pending = bytes
      this.#flusher.add(this)
    } else if (Array.isArray(pending)) pending.push(bytes)
    else this.#pending = [pending, bytes]
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

  /**
   * Writes what one turn brought. Slow is who has not taken what earlier turns left, so that one large turn (a replay)
   * makes nobody slow; the queue stays below the limit and one turn.
   */
  flush(joiner: Joiner): void {
    const pending = this.#pending
    if (pending === undefined) return
    this.#pending = undefined
    const bytes = Array.isArray(pending) ? joiner.join(pending) : pending
    const socket = this.#socket
    if (!socket.writable) return
    const sent = this.#send(bytes)
    if (sent === bytes.length) return
    if (socket.writableLength > this.#maxBytes) this.#onSlow()
    else socket.write(sent > 0 ? bytes.subarray(sent) : bytes)
  }

  /** Past the stream when that holds nothing back; what it gives less than all is the stream's to send or to explain. */
  #send(bytes: Buffer): number {
    const { nativeSend } = this.#flusher
    const descriptor = this.#descriptor
    if (nativeSend === undefined || descriptor < 0) return 0
    return this.#socket.writableLength === 0 && holdsDescriptor(this.#socket)
      ? nativeSend(descriptor, bytes)
      : 0
  }

  #release(): void {
    const waiting = this.#conflated
    this.#conflated = undefined
    for (const bytes of waiting?.values() ?? []) this.push(bytes)
  }

  /** Sends what is pending and `last`, then closes. The caller destroys a socket that never takes it. */
  end(last?: Buffer): void {
    if (this.#ended) return
    const pending = this.#pending ?? []
    const parts = Array.isArray(pending) ? pending : [pending]
    this.#pending = undefined
    this.#ended = true
    if (this.#socket.writable) this.#socket.end(Buffer.concat(last === undefined ? parts : [...parts, last]))
  }

  /** Forgets what is pending: the other side does not take it. */
  abandon(last: Buffer): void {
    this.#pending = undefined
    this.end(last)
  }
}
