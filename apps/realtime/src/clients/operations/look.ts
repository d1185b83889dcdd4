import type { Identity } from '../../access/identity.js'
import { ERRORS } from '../../protocol/codes.js'
import type { Params } from '../../protocol/commands.js'
import { readHistory } from '../../stream/history.js'
import { clientInfo } from '../../stream/publisher-info.js'
import { type Caller, Refusal } from '../caller.js'
import { spend } from './spend.js'
import { channelName } from './subscribe.js'

/** Who is in a room. Above 200 only their number is known, which `presence_stats` gives. */
export async function presence(caller: Caller, id: number, params: Params): Promise<void> {
  spend(caller)
  const { members } = await caller.deps.presence.members(roomOf(caller, params))
  if (members === undefined) throw new Refusal(ERRORS.limitExceeded)
  const listed = members.map((member) => [member.client, clientInfo(member)])
  caller.port.say({ id, presence: { presence: Object.fromEntries(listed) } })
}

/** How many are in a room. */
export async function presenceStats(caller: Caller, id: number, params: Params): Promise<void> {
  spend(caller)
  const { clients, users } = await caller.deps.presence.stats(roomOf(caller, params))
  caller.port.say({ id, presence_stats: { num_clients: clients, num_users: users } })
}

/** What was said in a channel. */
export async function history(caller: Caller, id: number, params: Params): Promise<void> {
  spend(caller)
  const joined = caller.joined.get(channelName(params))
  if (joined === undefined) throw new Refusal(ERRORS.permissionDenied)
  if (joined.channel === undefined) throw new Refusal(ERRORS.notAvailable)
  if (joined.grant?.permissions.has('history') === false) throw new Refusal(ERRORS.permissionDenied)
  const result = await readHistory(joined.channel, params)
  if (result === undefined) throw new Refusal(ERRORS.unrecoverable)
  caller.port.say({ id, history: result })
}

function roomOf(caller: Caller, params: Params): { tenant: string; id: string } {
  const grant = caller.joined.get(channelName(params))?.grant
  if (grant?.permissions.has('presence') !== true) throw new Refusal(ERRORS.permissionDenied)
  if (grant.kind !== 'room') throw new Refusal(ERRORS.notAvailable)
  return { tenant: (caller.identity as Identity).tenant, id: grant.id }
}
