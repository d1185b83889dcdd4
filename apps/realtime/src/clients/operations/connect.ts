import { PERSONAL, personalChannel } from '../../access/channels.js'
import { type Identity, TokenError } from '../../access/identity.js'
import { DISCONNECTS, ERRORS } from '../../protocol/codes.js'
import { isRecord, type Params, positionOf } from '../../protocol/commands.js'
import { type Caller, Refusal } from '../caller.js'
import { lookAgain } from '../place.js'
import { subscribeResult } from './subscribe-result.js'

/** Clients are asked to renew their token this long before its end. */
const REFRESH_LEAD_SECONDS = 10
const VERSION = 'carillon'

/** Who it is, and their own channel from where they stood. */
export async function connect(caller: Caller, id: number, params: Params): Promise<void> {
  const { deps, port, options } = caller
  if (caller.connected) return port.disconnect(DISCONNECTS.badRequest)
  const identity = await authenticate(caller, params.token)
  if (identity === undefined) return
  caller.identity = identity
  const known = isRecord(params.subs) ? params.subs[PERSONAL] : undefined
  const position = isRecord(known) ? positionOf(known) : undefined
  await deps.hub.attach(personalChannel(identity), position, (attachment) => {
    if (port.ended) return undefined
    deps.onAttached(port.wire.transport, attachment)
    deps.presence.connected(identity)
    const { channel } = attachment
    const remainingMs = identity.expiresAtMs - deps.now()
    caller.connected = true
    port.expireIn(remainingMs)
    caller.joined.set(PERSONAL, {
      channel,
      grant: undefined,
      leave: () => deps.hub.detach(channel, port.subscriber),
      watchEnd: () => undefined,
    })
    const { result, behind } = subscribeResult(attachment, position !== undefined)
    port.say({
      id,
      connect: {
        client: caller.id,
        version: VERSION,
        expires: true,
        ttl: renewIn(remainingMs),
        ping: options.pingSeconds,
        pong: true,
        session: port.sessionId,
        node: options.node,
        subs: { [PERSONAL]: result },
      },
    })
    for (const frame of behind) port.push(frame.push(port.wire))
    return port.subscriber
  })
}

/** A new token for the same user. */
export async function refresh(caller: Caller, id: number, params: Params): Promise<void> {
  const { deps, port } = caller
  const identity = typeof params.token === 'string' ? await renewed(caller, params.token) : undefined
  if (port.ended) return
  if (identity === undefined || identity.userId !== caller.identity?.userId) {
    return port.disconnect(DISCONNECTS.invalidToken)
  }
  caller.identity = identity
  const remainingMs = identity.expiresAtMs - deps.now()
  port.expireIn(remainingMs)
  await Promise.all([...caller.joined.values()].map((joined) => lookAgain(caller, joined)))
  port.say({
    id,
    refresh: { client: caller.id, version: VERSION, expires: true, ttl: renewIn(remainingMs) },
  })
}

/** Undefined when the client was disconnected. */
async function authenticate(caller: Caller, token: unknown): Promise<Identity | undefined> {
  const { deps, port } = caller
  const identity = typeof token === 'string' && token !== '' ? await verified(caller, token) : caller.identity
  const admitted = identity !== undefined && (await deps.standing.admits(identity))
  if (identity === undefined || port.ended) {
    port.disconnect(DISCONNECTS.invalidToken)
    return undefined
  }
  if (identity.expiresAtMs <= deps.now()) throw new Refusal(ERRORS.tokenExpired)
  if (!admitted) {
    port.disconnect(DISCONNECTS.forced)
    return undefined
  }
  // an earlier attempt on this connection may have been somebody else's
  if (caller.claimed !== identity.userId) {
    if (!deps.connections.claim(identity.userId)) {
      port.disconnect(DISCONNECTS.connectionLimit)
      return undefined
    }
    if (caller.claimed !== undefined) deps.connections.release(caller.claimed)
    caller.claimed = identity.userId
  }
  return identity
}

/** Clients take an error for the last word here; sent away, they come back with another token. */
async function renewed(caller: Caller, token: string): Promise<Identity | undefined> {
  try {
    return await verified(caller, token)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    caller.port.disconnect(DISCONNECTS.expired)
    return undefined
  }
}

/** Undefined for a token that is no good. @throws Refusal when it has only expired */
async function verified(caller: Caller, token: string): Promise<Identity | undefined> {
  try {
    return await caller.deps.verifier.verify(token)
  } catch (error) {
    if (!(error instanceof TokenError)) throw error
    if (error.code === 'TOKEN_EXPIRED') throw new Refusal(ERRORS.tokenExpired)
    return undefined
  }
}

function renewIn(remainingMs: number): number {
  return Math.max(1, Math.floor(remainingMs / 1_000) - REFRESH_LEAD_SECONDS)
}
