import type { Socket } from 'node:net'
import { PERSONAL } from '../access/channels.js'
import type { Identity } from '../access/identity.js'
import { DISCONNECTS, type Disconnect, ERRORS, UNSUBSCRIBES } from '../protocol/codes.js'
import { type Command, errorText, parseCommands, pushText } from '../protocol/protocol.js'
import { closeFrame, textFrame } from '../protocol/websocket-frame.js'
import type { Channel, Subscriber } from '../stream/channel.js'
import type { EncodedFrame } from '../stream/encoded-frame.js'
import { HubUnavailable } from '../stream/hub.js'
import type { ResetReason } from '../stream/recovery.js'
import { type CommandDeps, type CommandOptions, type CommandPort, Commands, Refusal } from './commands.js'
import type { Client } from './connections.js'
import { Output } from './output.js'

export interface SessionOptions extends CommandOptions {
  authenticateWithinMs: number
  maxQueuedBytes: number
}

export interface SessionDeps extends CommandDeps {
  onDisconnect: (disconnect: Disconnect) => void
  onFailure: (error: unknown) => void
}

const PING = textFrame('{}')
const MAX_QUEUED_COMMANDS = 256
/** A socket that does not take its close frame is destroyed after this. */
const LINGER_MS = 2_000

/** One client of the Centrifugo protocol (JSON). Commands are worked on one after the other. */
export class WebSocketSession implements Client, Subscriber, CommandPort {
  readonly transport = 'websocket'
  readonly subscriber = this
  readonly #socket: Socket
  readonly #output: Output
  readonly #deps: SessionDeps
  readonly #commands: Commands
  #waiting: Command[] = []
  #working = false
  #heard = true
  #cancelExpiry: () => void
  #ended = false
  #closed = false

  /** `identity` is who the handshake has already proven, if anybody. */
  constructor(socket: Socket, identity: Identity | undefined, options: SessionOptions, deps: SessionDeps) {
    this.#socket = socket
    this.#deps = deps
    this.#commands = new Commands(this, identity, options, deps)
    this.#output = new Output(socket, {
      flusher: deps.connections.flusher,
      maxBytes: options.maxQueuedBytes,
      onSlow: () => this.#slow(),
    })
    this.#cancelExpiry = deps.connections.wheel.after(options.authenticateWithinMs, () =>
      this.disconnect(DISCONNECTS.stale),
    )
    deps.connections.add(this)
  }

  get ended(): boolean {
    return this.#ended
  }

  expireIn(ms: number): void {
    this.#cancelExpiry()
    this.#cancelExpiry = this.#deps.connections.wheel.after(ms, () => this.disconnect(DISCONNECTS.expired))
  }

  /** Takes one message as it came. */
  receive(text: string): void {
    if (this.#ended) return
    this.#heard = true
    const commands = parseCommands(text)
    if (commands === undefined) {
      this.disconnect(DISCONNECTS.badRequest)
      return
    }
    this.#waiting.push(...commands)
    if (this.#waiting.length > MAX_QUEUED_COMMANDS) this.disconnect(DISCONNECTS.tooManyRequests)
    else if (!this.#working) void this.#work()
  }

  /** Binary messages carry the protocol's other encoding, which is not offered. */
  refuseBinary(): void {
    this.disconnect(DISCONNECTS.badRequest)
  }

  deliver(_channel: Channel, frame: EncodedFrame): void {
    this.#output.push(frame.websocket)
  }

  reset(channel: Channel, _reason: ResetReason): void {
    if (channel.name === PERSONAL) {
      // a server-side subscription is renewed by connecting again
      this.disconnect(DISCONNECTS.insufficientState)
      return
    }
    this.#commands.leave(channel)
    this.say(pushText('unsubscribe', channel.name, UNSUBSCRIBES.insufficientState))
  }

  beat(): void {
    if (!this.#commands.connected || this.#ended) return
    if (!this.#heard) {
      this.disconnect(DISCONNECTS.noPong)
      return
    }
    this.#heard = false
    this.#output.push(PING)
  }

  leave(): void {
    this.disconnect(DISCONNECTS.shutdown)
  }

  /** Tells the client why, then closes. */
  disconnect(disconnect: Disconnect): void {
    if (this.#ended) return
    this.#ended = true
    this.#deps.onDisconnect(disconnect)
    // proxies and browsers turn close codes into 1006, so the reason goes ahead as a push
    const words = textFrame(pushText('disconnect', undefined, disconnect))
    this.#output.end(Buffer.concat([words, closeFrame(disconnect.code, disconnect.reason)]))
    this.#cancelExpiry()
    this.#cancelExpiry = this.#deps.connections.wheel.after(LINGER_MS, () => this.#socket.destroy())
  }

  /** The socket is gone. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#ended = true
    this.#cancelExpiry()
    this.#commands.close()
    this.#deps.connections.remove(this)
  }

  #slow(): void {
    if (this.#ended) return
    this.#ended = true
    this.#deps.onDisconnect(DISCONNECTS.slow)
    // the close frame stands behind bytes that are not read; ending the socket is what the client sees
    this.#output.abandon(closeFrame(DISCONNECTS.slow.code, DISCONNECTS.slow.reason))
    this.#socket.destroySoon()
    this.#cancelExpiry()
    this.#cancelExpiry = this.#deps.connections.wheel.after(LINGER_MS, () => this.#socket.destroy())
  }

  say(text: string): void {
    this.#output.push(textFrame(text))
  }

  async #work(): Promise<void> {
    this.#working = true
    for (let command = this.#waiting.shift(); command !== undefined && !this.#ended; ) {
      await this.#handle(command)
      command = this.#waiting.shift()
    }
    this.#working = false
  }

  async #handle(command: Command): Promise<void> {
    if (command.kind === 'pong') return
    if (command.kind === 'send') {
      this.disconnect(DISCONNECTS.notAvailable)
      return
    }
    if (command.kind === 'unknown') {
      this.say(errorText(command.id, ERRORS.methodNotFound))
      return
    }
    const { id, method, params } = command
    if (!this.#commands.connected && method !== 'connect') {
      this.disconnect(DISCONNECTS.badRequest)
      return
    }
    try {
      await this.#commands.call(id, method, params)
    } catch (error) {
      if (error instanceof Refusal) this.say(errorText(id, error.error))
      else {
        if (!(error instanceof HubUnavailable)) this.#deps.onFailure(error)
        this.say(errorText(id, ERRORS.internal))
      }
    }
  }
}
