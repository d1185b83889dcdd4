import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import { PERSONAL } from '../access/channels.js'
import type { Identity } from '../access/identity.js'
import { DISCONNECTS, type Disconnect, ERRORS, UNSUBSCRIBES } from '../protocol/codes.js'
import type { Command } from '../protocol/commands.js'
import type { Reply } from '../protocol/replies.js'
import type { Wire } from '../protocol/wires.js'
import type { Channel, Subscriber } from '../stream/channel.js'
import type { EncodedFrame } from '../stream/encoded-frame.js'
import type { LatestSubscriber } from '../stream/latest.js'
import type { ResetReason } from '../stream/recovery.js'
import { refusalOf } from './answers.js'
import type { Caller, CommandDeps, CommandOptions, CommandPort, Joined } from './caller.js'
import { leaveAll, work } from './commands.js'
import type { Client } from './connections.js'
import { Output } from './output.js'
import { putOut } from './place.js'

export interface SessionOptions extends CommandOptions {
  authenticateWithinMs: number
  maxQueuedBytes: number
}

export interface SessionDeps extends CommandDeps {
  onDisconnect: (transport: Client['transport'], disconnect: Disconnect) => void
  /** Something failed that no client's doing explains. */
  onFailure: (error: unknown) => void
}

/** What a session is made of: shared by all sessions of a kind, so that each costs little. */
export interface SessionKind {
  wire: Wire
  options: SessionOptions
  deps: SessionDeps
}

/** From this code on clients don't come back by themselves. */
const FOR_GOOD = 3_500
const MAX_QUEUED_COMMANDS = 256
/** Calls to other processes that one client may have under way; they overtake each other. */
const MAX_CALLS = 8
/** A socket that does not take its close frame is destroyed after this. */
const LINGER_MS = 2_000

/** One client of the client protocol, on any wire. Its commands are worked on one after the other. */
export class Session implements Client, Subscriber, LatestSubscriber, CommandPort, Caller {
  // what each message needs comes first: together in the processor's cache
  readonly #output: Output
  readonly #kind: SessionKind
  readonly id = randomUUID()
  readonly sessionId: string
  readonly joined = new Map<string, Joined>()
  connected = false
  identity: Identity | undefined
  claimed: string | undefined
  budget: Caller['budget']
  readonly #socket: Socket
  #waiting: Command[] | undefined
  #working = false
  #calls = 0
  #heard = true
  #cancelExpiry: () => void
  #ended = false
  /** It was told not to come back, so its places in rooms wait for nobody. */
  #staysAway = false
  #closed = false

  /**
   * `identity` is who the handshake has already proven, if anybody. `sessionId` is secret: who knows it speaks for the
   * client; empty where commands come over the socket itself.
   */
  constructor(socket: Socket, kind: SessionKind, who: { identity: Identity | undefined; sessionId: string }) {
    this.#socket = socket
    this.#kind = kind
    this.identity = who.identity
    this.sessionId = who.sessionId
    const { connections } = kind.deps
    this.#output = new Output(socket, {
      flusher: connections.flusher,
      maxBytes: kind.options.maxQueuedBytes,
      onSlow: () => this.#slow(),
    })
    this.#cancelExpiry = connections.wheel.after(kind.options.authenticateWithinMs, () =>
      this.disconnect(DISCONNECTS.stale),
    )
    connections.add(this)
  }

  get transport(): Wire['transport'] {
    return this.#kind.wire.transport
  }

  get wire(): Wire {
    return this.#kind.wire
  }

  get options(): CommandOptions {
    return this.#kind.options
  }

  get deps(): CommandDeps {
    return this.#kind.deps
  }

  get port(): CommandPort {
    return this
  }

  get subscriber(): Subscriber & LatestSubscriber {
    return this
  }

  get ended(): boolean {
    return this.#ended
  }

  expireIn(ms: number): void {
    this.#cancelExpiry()
    this.#cancelExpiry = this.deps.connections.wheel.after(ms, () => this.disconnect(DISCONNECTS.expired))
  }

  /** Takes one message as it came. */
  receive(message: Buffer): void {
    if (this.#ended) return
    this.#heard = true
    const commands = this.wire.commands(message)
    if (commands === undefined) {
      this.disconnect(DISCONNECTS.badRequest)
      return
    }
    this.#waiting = this.#waiting === undefined ? commands : [...this.#waiting, ...commands]
    if (this.#waiting.length > MAX_QUEUED_COMMANDS) this.disconnect(DISCONNECTS.tooManyRequests)
    else if (!this.#working) void this.#work()
  }

  deliver(_channel: Channel, frame: EncodedFrame): void {
    this.#output.push(frame.push(this.#kind.wire))
  }

  deliverLatest(key: string, frame: EncodedFrame): void {
    this.#output.pushNewest(key, frame.push(this.#kind.wire))
  }

  push(bytes: Buffer): void {
    this.#output.push(bytes)
  }

  say(reply: Reply): void {
    this.#output.push(this.wire.encode(reply))
  }

  reset(channel: Channel, _reason: ResetReason): void {
    const joined = this.joined.get(channel.name)
    if (channel.name === PERSONAL) {
      // a server-side subscription is renewed by connecting again
      this.disconnect(DISCONNECTS.insufficientState)
    } else if (joined !== undefined) putOut(this, joined, UNSUBSCRIBES.insufficientState)
  }

  beat(): void {
    if (!this.connected || this.#ended) return
    if (!this.#heard) {
      this.disconnect(DISCONNECTS.noPong)
      return
    }
    this.#heard = false
    this.#output.push(this.wire.ping)
  }

  leave(): void {
    this.disconnect(DISCONNECTS.shutdown)
  }

  get holder(): Identity | undefined {
    return this.connected ? this.identity : undefined
  }

  dismiss(): void {
    this.disconnect(DISCONNECTS.forced)
  }

  /** Tells the client why, then closes. */
  disconnect(disconnect: Disconnect): void {
    if (this.#ended) return
    this.#ended = true
    this.#staysAway = disconnect.code >= FOR_GOOD
    this.#kind.deps.onDisconnect(this.transport, disconnect)
    this.#output.end(this.wire.farewell(disconnect))
    this.#linger()
  }

  /** The socket is gone; `orderly` when the client said goodbye. */
  close(how: { orderly: boolean }): void {
    if (this.#closed) return
    // who was sent away has not said goodbye, even if its answer looks like one
    const orderly = this.#ended ? this.#staysAway : how.orderly
    this.#closed = true
    this.#ended = true
    this.#cancelExpiry()
    leaveAll(this, { orderly })
    this.deps.connections.remove(this)
  }

  #slow(): void {
    if (this.#ended) return
    this.#ended = true
    this.#kind.deps.onDisconnect(this.transport, DISCONNECTS.slow)
    // it stands behind bytes that are not read; ending the socket is what the client sees
    this.#output.abandon(this.wire.farewell(DISCONNECTS.slow))
    this.#socket.destroySoon()
    this.#linger()
  }

  #linger(): void {
    this.#cancelExpiry()
    this.#cancelExpiry = this.deps.connections.wheel.after(LINGER_MS, () => this.#socket.destroy())
  }

  async #work(): Promise<void> {
    this.#working = true
    while (this.#waiting !== undefined && !this.#ended) {
      const commands = this.#waiting
      this.#waiting = undefined
      for (const command of commands) {
        if (this.#ended) break
        await this.#handle(command)
      }
    }
    this.#working = false
  }

  #handle(command: Command): Promise<void> | void {
    if (command.kind === 'pong') return
    if (command.kind === 'send') return this.disconnect(DISCONNECTS.notAvailable)
    if (command.kind === 'unknown') return this.say({ id: command.id, error: ERRORS.methodNotFound })
    if (!this.connected && command.method !== 'connect') return this.disconnect(DISCONNECTS.badRequest)
    if (command.method !== 'rpc') return this.#answer(command)
    if (this.#calls >= MAX_CALLS) return this.say({ id: command.id, error: ERRORS.tooManyRequests })
    this.#calls++
    void this.#answer(command).finally(() => this.#calls--)
  }

  async #answer({ id, method, params }: Extract<Command, { kind: 'call' }>): Promise<void> {
    try {
      await work(this, id, method, params)
    } catch (error) {
      const refusal = refusalOf(error)
      if (refusal === undefined) this.#kind.deps.onFailure(error)
      this.say({ id, error: refusal ?? ERRORS.internal })
    }
  }
}
