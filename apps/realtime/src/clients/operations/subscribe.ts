import { roomChannel } from '../../access/channels.js'
import type { Grant } from '../../access/grant.js'
import { type Identity, TokenError } from '../../access/identity.js'
import { ERRORS, UNSUBSCRIBES } from '../../protocol/codes.js'
import { type Params, positionOf } from '../../protocol/commands.js'
import type { SubscribeResult } from '../../protocol/replies.js'
import { splitForReply } from '../../stream/split-for-reply.js'
import { type Caller, type Joined, Refusal } from '../caller.js'
import { place, putOut } from '../place.js'
import { spend } from './spend.js'
import { subscribeResult } from './subscribe-result.js'

const REJECT_UNRECOVERED = 2
/** A subscription's own token is good for so much longer than the client is told. */
const REFRESH_GRACE_MS = 10_000

/** Into a room or a `latest` channel. */
export async function subscribe(caller: Caller, id: number, params: Params): Promise<void> {
  const { port, options, deps } = caller
  const name = channelName(params)
  if (caller.joined.has(name)) throw new Refusal(ERRORS.alreadySubscribed)
  if (caller.joined.size >= options.maxChannels) throw new Refusal(ERRORS.limitExceeded)
  // other kinds of subscription and server-side filters change what arrives: better refused than ignored
  if (params.type || params.tf !== undefined) throw new Refusal(ERRORS.notAvailable)
  spend(caller)
  const token = typeof params.token === 'string' && params.token !== '' ? params.token : undefined
  const grant = await deps.access.enter(caller.identity as Identity, name, token)
  if (port.ended) return
  if (grant.kind === 'latest') joinLatest(caller, id, grant, token !== undefined)
  else await joinRoom(caller, id, { grant, params, byToken: token !== undefined })
}

/** A new token for one channel. */
export async function subscriptionRefresh(caller: Caller, id: number, params: Params): Promise<void> {
  const joined = caller.joined.get(channelName(params))
  if (joined?.grant === undefined) throw new Refusal(ERRORS.permissionDenied)
  if (typeof params.token !== 'string' || params.token === '') throw new Refusal(ERRORS.badRequest)
  const grant = await renewed(caller, joined, params.token)
  joined.watchEnd()
  caller.port.say({ id, sub_refresh: { expires: true, ttl: secondsLeft(caller, grant) } })
}

/** Clients take an error for the last word here; put out, they come back with another token. */
async function renewed(caller: Caller, joined: Joined, token: string): Promise<Grant> {
  const { name } = joined.grant as Grant
  try {
    joined.grant = await caller.deps.access.enter(caller.identity as Identity, name, token)
    return joined.grant
  } catch (error) {
    if (error instanceof TokenError && error.code === 'TOKEN_EXPIRED') {
      putOut(caller, joined, UNSUBSCRIBES.expired)
    }
    throw error
  }
}

export function unsubscribe(caller: Caller, id: number, params: Params): void {
  const name = channelName(params)
  const joined = caller.joined.get(name)
  if (joined?.grant !== undefined) {
    caller.joined.delete(name)
    joined.leave({ orderly: true })
  }
  caller.port.say({ id, unsubscribe: {} })
}

/** @throws Refusal for what can't be a channel's name */
export function channelName(params: Params): string {
  const name = params.channel
  if (typeof name !== 'string' || name === '' || name.length > 128) throw new Refusal(ERRORS.badRequest)
  return name
}

function joinLatest(caller: Caller, id: number, grant: Grant, byToken: boolean): void {
  const { deps, port } = caller
  const { tenant } = caller.identity as Identity
  const { newest, leave } = deps.latest.join(tenant, grant, port.subscriber)
  settle(caller, place(caller, { grant, byToken, channel: undefined, leave }))
  const { publications, behind } = splitForReply(newest)
  port.say({
    id,
    subscribe: { ...ending(caller, grant, byToken), ...(newest.length === 0 ? {} : { publications }) },
  })
  for (const frame of behind) port.push(frame.push(port.wire))
}

async function joinRoom(
  caller: Caller,
  id: number,
  asked: { grant: Grant; params: Params; byToken: boolean },
): Promise<void> {
  const { deps, port } = caller
  const { grant, params, byToken } = asked
  const { tenant, externalId } = caller.identity as Identity
  const position = positionOf(params)
  const strict = (Number(params.flag ?? 0) & REJECT_UNRECOVERED) !== 0
  await deps.hub.attach(roomChannel(tenant, grant), position, (attachment) => {
    if (port.ended) return undefined
    if (strict && attachment.outcome === 'reset') {
      port.say({ id, error: ERRORS.unrecoverable })
      return undefined
    }
    deps.onAttached(port.wire.transport, attachment)
    const { channel } = attachment
    const room = { tenant, id: grant.id }
    const stopPushes =
      grant.joins && params.join_leave === true ? deps.presencePushes.to(room, grant.name, port) : undefined
    deps.presence.joined(room, {
      user: externalId,
      client: caller.id,
      ...(grant.info === undefined ? {} : { info: grant.info }),
    })
    const leave = (how: { orderly: boolean }) => {
      stopPushes?.()
      deps.presence.left(room, caller.id, how)
      deps.hub.detach(channel, port.subscriber)
    }
    settle(caller, place(caller, { grant, byToken, channel, leave }))
    const { result, behind } = subscribeResult(attachment, position !== undefined)
    port.say({ id, subscribe: { ...result, ...ending(caller, grant, byToken) } })
    for (const frame of behind) port.push(frame.push(port.wire))
    return port.subscriber
  })
}

function settle(caller: Caller, joined: Joined): void {
  caller.joined.set((joined.grant as Grant).name, joined)
  joined.watchEnd()
}

/** What a client is told of the end of its subscription: only it can bring a new token, a service is asked by us. */
function ending(caller: Caller, grant: Grant, byToken: boolean): SubscribeResult {
  return byToken && grant.endsAtMs !== undefined ? { expires: true, ttl: secondsLeft(caller, grant) } : {}
}

function secondsLeft(caller: Caller, grant: Grant): number {
  const endsAtMs = grant.endsAtMs ?? caller.deps.now()
  return Math.max(1, Math.floor((endsAtMs - REFRESH_GRACE_MS - caller.deps.now()) / 1_000))
}
