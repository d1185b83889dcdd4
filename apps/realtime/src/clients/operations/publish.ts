import type { Identity } from '../../access/identity.js'
import { ERRORS } from '../../protocol/codes.js'
import { isRecord, type Params } from '../../protocol/commands.js'
import { type Caller, Refusal } from '../caller.js'
import { spend } from './spend.js'
import { channelName } from './subscribe.js'

/** Says something in a channel. */
export async function publish(caller: Caller, id: number, params: Params): Promise<void> {
  spend(caller)
  const name = channelName(params)
  // publications with a type or that remove belong to kinds of channels that are not offered
  if (params.type || params.removed) throw new Refusal(ERRORS.notAvailable)
  const { data, key } = params
  if (!isRecord(data)) throw new Refusal(ERRORS.badRequest)
  const identity = caller.identity as Identity
  const known = caller.joined.get(name)?.grant
  const grant = await caller.deps.access.mayPublish(identity, name, data, known)
  await caller.deps.publisher.publish(identity.tenant, grant, {
    data,
    from: {
      user: identity.externalId,
      client: caller.id,
      ...(grant.info === undefined ? {} : { info: grant.info }),
    },
    ...(typeof key === 'string' && key !== '' ? { key } : {}),
  })
  caller.port.say({ id, publish: {} })
}
