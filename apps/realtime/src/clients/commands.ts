import { randomUUID } from 'node:crypto'
import { PERSONAL, resolveChannel } from '../access/channels.js'
import { type Identity, TokenError, type TokenVerifier } from '../access/identity.js'
import { DISCONNECTS, type Disconnect, ERRORS, type ProtocolError } from '../protocol/codes.js'
import { readHistory } from '../protocol/history.js'
import { errorText, isRecord, type Method, type Params, positionOf, replyText } from '../protocol/protocol.js'
import { subscribeResult } from '../protocol/subscription-reply.js'
import type { Channel, Subscriber } from '../stream/channel.js'
import type { Attachment, Hub } from '../stream/hub.js'
import type { Connections } from './connections.js'

export interface CommandOptions {
  pingSeconds: number
  maxChannels: number
}

export interface CommandDeps {
  hub: Hub
  connections: Connections
  verifier: TokenVerifier
  now: () => number
  onAttached: (attachment: Attachment) => void
}

/** What commands need of the connection they came by. */
export interface CommandPort {
  readonly ended: boolean
  readonly subscriber: Subscriber
  say(text: string): void
  disconnect(disconnect: Disconnect): void
  /** Ends the connection after so long, unless it is called again. */
  expireIn(ms: number): void
}

/** A refusal that is the answer to one command. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly error: ProtocolError

  constructor(error: ProtocolError) {
    super(error.message)
    this.error = error
  }
}

/** Clients are asked to renew their token this long before its end. */
const REFRESH_LEAD_SECONDS = 10
const REJECT_UNRECOVERED = 2

/** What one client may do and has done: who it is, and its channels. */
export class Commands {
  readonly id = randomUUID()
  readonly channels = new Map<string, Channel>()
  connected = false
  readonly #port: CommandPort
  readonly #options: CommandOptions
  readonly #deps: CommandDeps
  #identity: Identity | undefined
  #claimed: string | undefined

  /** `identity` is who the handshake has already proven, if anybody. */
  constructor(port: CommandPort, identity: Identity | undefined, options: CommandOptions, deps: CommandDeps) {
    this.#port = port
    this.#identity = identity
    this.#options = options
    this.#deps = deps
  }

  /** Answers one command. @throws Refusal, HubUnavailable */
  call(id: number, method: Method, params: Params): Promise<void> | void {
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
        return this.#port.say(replyText(id, 'ping', '{}'))
      default:
        throw new Refusal(ERRORS.notAvailable)
    }
  }

  async #connect(id: number, params: Params): Promise<void> {
    if (this.connected) return this.#port.disconnect(DISCONNECTS.badRequest)
    const identity = await this.#authenticate(params.token)
    if (identity === undefined) return
    this.#identity = identity
    const spec = resolveChannel(identity, PERSONAL)
    if (typeof spec === 'string') throw new Refusal(ERRORS.internal)
    const known = isRecord(params.subs) ? params.subs[PERSONAL] : undefined
    const position = isRecord(known) ? positionOf(known) : undefined
    await this.#deps.hub.attach(spec, position, (attachment) => {
      if (this.#port.ended) return undefined
      this.#deps.onAttached(attachment)
      const remainingMs = identity.expiresAtMs - this.#deps.now()
      this.connected = true
      this.#port.expireIn(remainingMs)
      this.channels.set(PERSONAL, attachment.channel)
      const subs = `{"${PERSONAL}":${subscribeResult(attachment, position !== undefined)}}`
      const { pingSeconds } = this.#options
      this.#port.say(
        replyText(
          id,
          'connect',
          `{"client":"${this.id}","version":"carillon","expires":true,"ttl":${renewIn(remainingMs)},` +
            `"ping":${pingSeconds},"pong":true,"subs":${subs}}`,
        ),
      )
      return this.#port.subscriber
    })
  }

  /** Undefined when the client was disconnected. */
  async #authenticate(token: unknown): Promise<Identity | undefined> {
    const identity = typeof token === 'string' && token !== '' ? await this.#verify(token) : this.#identity
    if (identity === undefined || this.#port.ended) {
      this.#port.disconnect(DISCONNECTS.invalidToken)
      return undefined
    }
    if (identity.expiresAtMs <= this.#deps.now()) throw new Refusal(ERRORS.tokenExpired)
    if (this.#claimed === undefined && !this.#deps.connections.claim(identity.userId)) {
      this.#port.disconnect(DISCONNECTS.connectionLimit)
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
      return this.#port.disconnect(DISCONNECTS.invalidToken)
    }
    this.#identity = identity
    const remainingMs = identity.expiresAtMs - this.#deps.now()
    this.#port.expireIn(remainingMs)
    this.#port.say(
      replyText(
        id,
        'refresh',
        `{"client":"${this.id}","version":"carillon","expires":true,"ttl":${renewIn(remainingMs)}}`,
      ),
    )
  }

  async #subscribe(id: number, params: Params): Promise<void> {
    const name = channelName(params)
    if (this.channels.has(name)) throw new Refusal(ERRORS.alreadySubscribed)
    if (this.channels.size >= this.#options.maxChannels) throw new Refusal(ERRORS.limitExceeded)
    // other kinds of subscription and server-side filters change what arrives: better refused than ignored
    if (params.type || params.tf !== undefined) throw new Refusal(ERRORS.notAvailable)
    const spec = resolveChannel(this.#identity as Identity, name)
    if (spec === 'unknown') throw new Refusal(ERRORS.unknownChannel)
    if (spec === 'denied') throw new Refusal(ERRORS.permissionDenied)
    const position = positionOf(params)
    const strict = (Number(params.flag ?? 0) & REJECT_UNRECOVERED) !== 0
    await this.#deps.hub.attach(spec, position, (attachment: Attachment) => {
      if (this.#port.ended) return undefined
      if (strict && attachment.outcome === 'reset') {
        this.#port.say(errorText(id, ERRORS.unrecoverable))
        return undefined
      }
      this.#deps.onAttached(attachment)
      this.channels.set(name, attachment.channel)
      this.#port.say(replyText(id, 'subscribe', subscribeResult(attachment, position !== undefined)))
      return this.#port.subscriber
    })
  }

  #unsubscribe(id: number, params: Params): void {
    const channel = this.channels.get(channelName(params))
    if (channel !== undefined) this.leave(channel)
    this.#port.say(replyText(id, 'unsubscribe', '{}'))
  }

  async #history(id: number, params: Params): Promise<void> {
    const channel = this.channels.get(channelName(params))
    if (channel === undefined) throw new Refusal(ERRORS.permissionDenied)
    const result = await readHistory(channel, params)
    if (result === undefined) throw new Refusal(ERRORS.unrecoverable)
    this.#port.say(replyText(id, 'history', result))
  }

  leave(channel: Channel): void {
    this.channels.delete(channel.name)
    this.#deps.hub.detach(channel, this.#port.subscriber)
  }

  /** Leaves everything: the connection is gone. */
  close(): void {
    for (const channel of this.channels.values()) this.#deps.hub.detach(channel, this.#port.subscriber)
    this.channels.clear()
    if (this.#claimed !== undefined) this.#deps.connections.release(this.#claimed)
    this.#claimed = undefined
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
