import { ERRORS } from '../protocol/codes.js'
import type { Method, Params } from '../protocol/commands.js'
import { type Caller, Refusal } from './caller.js'
import { connect, refresh } from './operations/connect.js'
import { history, presence, presenceStats } from './operations/look.js'
import { publish } from './operations/publish.js'
import { rpc } from './operations/rpc.js'
import { subscribe, subscriptionRefresh, unsubscribe } from './operations/subscribe.js'

/**
 * Works on one command; it says its answer itself.
 * @throws Refusal, AccessError, TokenError, and whatever the mesh fails with
 */
export function work(caller: Caller, id: number, method: Method, params: Params): Promise<void> | void {
  switch (method) {
    case 'connect':
      return connect(caller, id, params)
    case 'subscribe':
      return subscribe(caller, id, params)
    case 'unsubscribe':
      return unsubscribe(caller, id, params)
    case 'publish':
      return publish(caller, id, params)
    case 'presence':
      return presence(caller, id, params)
    case 'presence_stats':
      return presenceStats(caller, id, params)
    case 'history':
      return history(caller, id, params)
    case 'rpc':
      return rpc(caller, id, params)
    case 'refresh':
      return refresh(caller, id, params)
    case 'sub_refresh':
      return subscriptionRefresh(caller, id, params)
    case 'ping':
      return caller.port.say({ id, ping: {} })
    default:
      throw new Refusal(ERRORS.notAvailable)
  }
}

/** Leaves everything: the connection is gone. */
export function leaveAll(caller: Caller, how: { orderly: boolean }): void {
  const { presence, connections } = caller.deps
  for (const joined of caller.joined.values()) joined.leave(how)
  caller.joined.clear()
  if (caller.connected && caller.identity !== undefined) presence.gone(caller.identity)
  if (caller.claimed !== undefined) connections.release(caller.claimed)
  caller.claimed = undefined
}
