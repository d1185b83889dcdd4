import { checkData } from '@carillon/rooms'
import type { Identity } from '../../access/identity.js'
import { ERRORS } from '../../protocol/codes.js'
import type { Params } from '../../protocol/commands.js'
import { RawJson } from '../../protocol/raw-json.js'
import { type Caller, Refusal } from '../caller.js'
import { spend } from './spend.js'

/** An operation on the caller's own inbox. */
export async function rpc(caller: Caller, id: number, params: Params): Promise<void> {
  spend(caller)
  const { method, data } = params
  // what is nested without end can be read, but not written again
  if (typeof method !== 'string' || checkData(data ?? {}) !== undefined) throw new Refusal(ERRORS.badRequest)
  const answer = await caller.deps.inbox.call(caller.identity as Identity, method, data)
  if ('error' in answer) throw new Refusal(answer.error)
  caller.port.say({ id, rpc: { data: new RawJson(JSON.stringify(answer.data)) } })
}
