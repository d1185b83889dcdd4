import type { Socket } from 'node:net'
import {
  descriptorOf,
  type NativeSend,
  NONE,
  passable,
  type WritingHalf,
  writingHalfOf,
} from './native-send.js'

/** While thousands connect at once, one turn of the event loop takes seconds: what it brings waits no longer than this. */
const MOST_WAIT_MS = 10
/**
 * Outputs that are looked at before their bytes go out: a system call drives what it finds from the processor's caches,
 * and what is cold is fetched for many at once where none stands between.
 */
const AHEAD = 128
/** What is looked at holds its bytes until they are out, and after a mass reconnect each has its own. */
const MOST_BYTES_AHEAD = 1024 * 1024

/** Writes what connections were given during one turn of the event loop, one write per socket. */
export class Flusher {
  readonly nativeSend: NativeSend | undefined
  readonly #joiner = new Joiner()
  readonly #bytes: (Buffer | undefined)[] = new Array(AHEAD).fill(undefined)
  readonly #descriptors = new Int32Array(AHEAD)
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
    for (let from = 0; from < dirty.length; ) {
      const count = this.#look(dirty, from)
      this.#send(dirty, from, count)
      from += count
    }
    this.#joiner.forget()
    this.#bytes.fill(undefined)
  }

  /** Takes the bytes of the next outputs and notes where they may go. Gives how many it looked at. */
  #look(outputs: readonly Output[], from: number): number {
    const most = Math.min(AHEAD, outputs.length - from)
    let taken = 0
    let count = 0
    while (count < most && taken < MOST_BYTES_AHEAD) {
      const output = outputs[from + count] as Output
      const bytes = output.take(this.#joiner)
      this.#bytes[count] = bytes
      this.#descriptors[count] = output.descriptor
      taken += bytes?.length ?? 0
      count++
    }
    return count
  }

  #send(outputs: readonly Output[], from: number, count: number): void {
    const { nativeSend } = this
    let certain = nativeSend !== undefined
    for (let n = 0; n < count; n++) {
      const bytes = this.#bytes[n]
      if (bytes === undefined) continue
      const output = outputs[from + n] as Output
      const descriptor = certain ? (this.#descriptors[n] as number) : output.descriptor
      const sent = nativeSend === undefined || descriptor === NONE ? 0 : nativeSend(descriptor, bytes)
      if (sent === bytes.length) continue
      output.leave(bytes, sent)
      // only here does anything else run: who was closed is not written to. It must not end another's output, whose
      // bytes are taken already
      certain = false
    }
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
  // what each message needs comes first: together in the processor's cache
  /** A turn mostly brings one thing, and most connections are idle: no list for these. */
  #pending: Buffer | Buffer[] | undefined
  #ended = false
  /** `NONE` where only the stream may write. */
  readonly #descriptor: number
  readonly #half: WritingHalf
  readonly #flusher: Flusher
  readonly #socket: Socket
  readonly #maxBytes: number
  readonly #onSlow: () => void
  /** What waits until the other side has taken more, newest per key; undefined while nothing does. */
  #conflated: Map<string, Buffer> | undefined

  constructor(socket: Socket, options: { flusher: Flusher; maxBytes: number; onSlow: () => void }) {
    this.#socket = socket
    this.#flusher = options.flusher
    this.#maxBytes = options.maxBytes
    this.#onSlow = options.onSlow
    this.#descriptor = descriptorOf(socket)
    this.#half = writingHalfOf(socket)
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

  /** What one turn brought. */
  take(joiner: Joiner): Buffer | undefined {
    const pending = this.#pending
    this.#pending = undefined
    return Array.isArray(pending) ? joiner.join(pending) : pending
  }

  /** Where bytes may go past the stream, `NONE` while they may not. Holds until anything else runs. */
  get descriptor(): number {
    return passable(this.#half) ? this.#descriptor : NONE
  }

  /**
   * The kernel took `sent` bytes, none when negative: the rest is the stream's to send, or to explain. Slow is who has
   * not taken what earlier turns left, so that one large turn (a replay) makes nobody slow; the queue stays below the
   * limit and one turn.
   */
  leave(bytes: Buffer, sent: number): void {
    const socket = this.#socket
    if (!socket.writable) return
    if (socket.writableLength > this.#maxBytes) this.#onSlow()
    else socket.write(sent > 0 ? bytes.subarray(sent) : bytes)
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
