import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import type { Channel, Subscriber } from './channel.js'
import { PERSONAL, resolveChannel } from './channels.js'
import { DISCONNECTS, type Disconnect, ERRORS, type ProtocolError, UNSUBSCRIBES } from './codes.js'
import type { Client, Connections } from './connections.js'
import type { EncodedFrame } from './encoded-frame.js'
import { readHistory } from './history.js'
import { type Attachment, type Hub, HubUnavailable } from './hub.js'
import { type Identity, TokenError, type TokenVerifier } from './identity.js'
import { Output } from './output.js'
import {
  type Command,
  errorText,
  isRecord,
  type Method,
  type Params,
  parseCommands,
  positionOf,
  pushText,
  replyText,
} from './protocol.js'
import type { ResetReason } from './recovery.js'
import { subscribeResult } from './subscription-reply.js'
import { closeFrame, textFrame } from './websocket-frame.js'

export interface SessionOptions {
  authenticateWithinMs: number
  pingSeconds: number
  maxQueuedBytes: number
  maxChannels: number
}

export interface SessionDeps {
  hub: Hub
  connections: Connections
  verifier: TokenVerifier
  now: () => number
  onDisconnect: (disconnect: Disconnect) => void
  onAttached: (attachment: Attachment) => void
  onFailure: (error: unknown) => void
}

/** A refusal that is the answer to one command. */
class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly error: ProtocolError

  constructor(error: ProtocolError) {
    super(error.message)
    this.error = error
  }
}

const PING = textFrame('{}')
const MAX_QUEUED_COMMANDS = 256
/** A socket that does not take its close frame is destroyed after this. */
const LINGER_MS = 2_000
/** Clients are asked to renew their token this long before its end. */
const REFRESH_LEAD_SECONDS = 10
const REJECT_UNRECOVERED = 2

/** One client of the Centrifugo protocol (JSON). Commands are worked on one after the other. */
export class WebSocketSession implements Client, Subscriber {
  readonly transport = 'websocket'
  readonly id = randomUUID()
  readonly #socket: Socket
  readonly #output: Output
  readonly #options: SessionOptions
  readonly #deps: SessionDeps
  readonly #channels = new Map<string, Channel>()
  #identity: Identity | undefined
  #connected = false
  #claimed: string | undefined
  #commands: Command[] = []
  #working = false
  #heard = true
  #cancelExpiry: () => void
  #ended = false
  #closed = false

  /** `identity` is who the handshake has already proven, if anybody. */
  constructor(socket: Socket, identity: Identity | undefined, options: SessionOptions, deps: SessionDeps) {
    this.#socket = socket
    this.#identity = identity
    this.#options = options
    this.#deps = deps
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

  /** Takes one message as it came. */
  receive(text: string): void {
    if (this.#ended) return
    this.#heard = true
    const commands = parseCommands(text)
    if (commands === undefined) {
      this.disconnect(DISCONNECTS.badRequest)
      return
    }
    this.#commands.push(...commands)
    if (this.#commands.length > MAX_QUEUED_COMMANDS) this.disconnect(DISCONNECTS.tooManyRequests)
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
    this.#leaveChannel(channel)
    this.#say(pushText('unsubscribe', channel.name, UNSUBSCRIBES.insufficientState))
  }

  beat(): void {
    if (!this.#connected || this.#ended) return
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
    for (const channel of this.#channels.values()) this.#deps.hub.detach(channel, this)
    this.#channels.clear()
    if (this.#claimed !== undefined) this.#deps.connections.release(this.#claimed)
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

  #say(text: string): void {
    this.#output.push(textFrame(text))
  }

  async #work(): Promise<void> {
    this.#working = true
    for (let command = this.#commands.shift(); command !== undefined && !this.#ended; ) {
      await this.#handle(command)
      command = this.#commands.shift()
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
      this.#say(errorText(command.id, ERRORS.methodNotFound))
      return
    }
    const { id, method, params } = command
    if (!this.#connected && method !== 'connect') {
      this.disconnect(DISCONNECTS.badRequest)
      return
    }
    try {
      await this.#call(id, method, params)
    } catch (error) {
      if (error instanceof Refusal) this.#say(errorText(id, error.error))
      else {
        if (!(error instanceof HubUnavailable)) this.#deps.onFailure(error)
        this.#say(errorText(id, ERRORS.internal))
      }
    }
  }

  #call(id: number, method: Method, params: Params): Promise<void> | void {
    switch (method) {
      case 'connect':
        return this.#connect(id, params)
      case 'subscribe':
        return this.#subscribe(id, params)
      case 'unsubscribe':
        return this.#unsubscribe(id, params)
      case 'history':
        return this.#history(id, params)
      case 'refresh':
        return this.#refresh(id, params)
      case 'ping':
        return this.#say(replyText(id, 'ping', '{}'))
      default:
        throw new Refusal(ERRORS.notAvailable)
    }
  }

  async #connect(id: number, params: Params): Promise<void> {
    if (this.#connected) return this.disconnect(DISCONNECTS.badRequest)
    const identity = await this.#authenticate(params.token)
    if (identity === undefined) return
    this.#identity = identity
    const spec = resolveChannel(identity, PERSONAL)
    if (typeof spec === 'string') throw new Refusal(ERRORS.internal)
    const known = isRecord(params.subs) ? params.subs[PERSONAL] : undefined
    const position = isRecord(known) ? positionOf(known) : undefined
    await this.#deps.hub.attach(spec, position, (attachment) => {
      if (this.#ended) return undefined
      this.#deps.onAttached(attachment)
      const remainingMs = identity.expiresAtMs - this.#deps.now()
      this.#connected = true
      this.#expireIn(remainingMs)
      this.#channels.set(PERSONAL, attachment.channel)
      const subs = `{"${PERSONAL}":${subscribeResult(attachment, position !== undefined)}}`
      const { pingSeconds } = this.#options
      this.#say(
        replyText(
          id,
          'connect',
          `{"client":"${this.id}","version":"carillon","expires":true,"ttl":${renewIn(remainingMs)},` +
            `"ping":${pingSeconds},"pong":true,"subs":${subs}}`,
        ),
      )
      return this
    })
  }

  /** Undefined when the client was disconnected. */
  async #authenticate(token: unknown): Promise<Identity | undefined> {
    const identity = typeof token === 'string' && token !== '' ? await this.#verify(token) : this.#identity
    if (identity === undefined || this.#ended) {
      this.disconnect(DISCONNECTS.invalidToken)
      return undefined
    }
    if (identity.expiresAtMs <= this.#deps.now()) throw new Refusal(ERRORS.tokenExpired)
    if (this.#claimed === undefined && !this.#deps.connections.claim(identity.userId)) {
      this.disconnect(DISCONNECTS.connectionLimit)
      return undefined
    }
    this.#claimed = identity.userId
    return identity
  }

  /** Undefined for a token that is no good. @throws Refusal when it has only expired */
  async #verify(token: string): Promise<Identity | undefined> {
    try {
      return await this.#deps.verifier.verify(token)
    } catch (error) {
      if (!(error instanceof TokenError)) throw error
      if (error.code === 'TOKEN_EXPIRED') throw new Refusal(ERRORS.tokenExpired)
      return undefined
    }
  }

  async #refresh(id: number, params: Params): Promise<void> {
    const { token } = params
    const identity = typeof token === 'string' ? await this.#verify(token) : undefined
    if (identity === undefined || identity.userId !== this.#identity?.userId) {
      return this.disconnect(DISCONNECTS.invalidToken)
    }
    this.#identity = identity
    const remainingMs = identity.expiresAtMs - this.#deps.now()
    this.#expireIn(remainingMs)
    this.#say(
      replyText(
        id,
        'refresh',
        `{"client":"${this.id}","version":"carillon","expires":true,"ttl":${renewIn(remainingMs)}}`,
      ),
    )
  }

  async #subscribe(id: number, params: Params): Promise<void> {
    const name = channelName(params)
    if (this.#channels.has(name)) throw new Refusal(ERRORS.alreadySubscribed)
    if (this.#channels.size >= this.#options.maxChannels) throw new Refusal(ERRORS.limitExceeded)
    // other kinds of subscription and server-side filters change what arrives: better refused than ignored
    if (params.type || params.tf !== undefined) throw new Refusal(ERRORS.notAvailable)
    const spec = resolveChannel(this.#identity as Identity, name)
    if (spec === 'unknown') throw new Refusal(ERRORS.unknownChannel)
    if (spec === 'denied') throw new Refusal(ERRORS.permissionDenied)
    const position = positionOf(params)
    const strict = (Number(params.flag ?? 0) & REJECT_UNRECOVERED) !== 0
    await this.#deps.hub.attach(spec, position, (attachment: Attachment) => {
      if (this.#ended) return undefined
      if (strict && attachment.outcome === 'reset') {
        this.#say(errorText(id, ERRORS.unrecoverable))
        return undefined
      }
      this.#deps.onAttached(attachment)
      this.#channels.set(name, attachment.channel)
      this.#say(replyText(id, 'subscribe', subscribeResult(attachment, position !== undefined)))
      return this
    })
  }

  #unsubscribe(id: number, params: Params): void {
    const channel = this.#channels.get(channelName(params))
    if (channel !== undefined) this.#leaveChannel(channel)
    this.#say(replyText(id, 'unsubscribe', '{}'))
  }

  async #history(id: number, params: Params): Promise<void> {
    const channel = this.#channels.get(channelName(params))
    if (channel === undefined) throw new Refusal(ERRORS.permissionDenied)
    const result = await readHistory(channel, params)
    if (result === undefined) throw new Refusal(ERRORS.unrecoverable)
    this.#say(replyText(id, 'history', result))
  }

  #leaveChannel(channel: Channel): void {
    this.#channels.delete(channel.name)
    this.#deps.hub.detach(channel, this)
  }

  #expireIn(ms: number): void {
    this.#cancelExpiry()
    this.#cancelExpiry = this.#deps.connections.wheel.after(ms, () => this.disconnect(DISCONNECTS.expired))
  }
}

function channelName(params: Params): string {
  const name = params.channel
  if (typeof name !== 'string' || name === '' || name.length > 128) throw new Refusal(ERRORS.badRequest)
  return name
}

function renewIn(remainingMs: number): number {
  return Math.max(1, Math.floor(remainingMs / 1_000) - REFRESH_LEAD_SECONDS)
}
