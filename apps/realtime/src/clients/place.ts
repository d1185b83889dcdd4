import type { Grant } from '../access/grant.js'
import type { Identity } from '../access/identity.js'
import { UNSUBSCRIBES } from '../protocol/codes.js'
import type { Channel } from '../stream/channel.js'
import type { Caller, Joined } from './caller.js'

export interface PlaceParts {
  grant: Grant
  /** The client brought a token for this channel, and has to bring the next one. */
  byToken: boolean
  channel: Channel | undefined
  leave: (how: { orderly: boolean }) => void
}

/** While a service can't be asked whether somebody may stay, they stay; asked again after this. */
const ASK_AGAIN_MS = 30_000

/** A client's place in a channel, until it leaves or what let it in ends. */
export function place(caller: Caller, parts: PlaceParts): Joined {
  let cancel: (() => void) | undefined
  let left = false
  const joined: Joined = {
    channel: parts.channel,
    grant: parts.grant,
    leave(how) {
      if (left) return
      left = true
      cancel?.()
      parts.leave(how)
    },
    watchEnd() {
      cancel?.()
      const { wheel } = caller.deps.connections
      const endsAtMs = joined.grant?.endsAtMs
      if (endsAtMs === undefined || left) return
      cancel = wheel.after(endsAtMs - caller.deps.now(), () => {
        if (parts.byToken) putOut(caller, joined, UNSUBSCRIBES.expired)
        else void askAgain(caller, joined)
      })
    },
  }
  return joined
}

/** Takes the place away and says so. From code 2500 on the client comes back, so that others need not know. */
export function putOut(caller: Caller, joined: Joined, why: { code: number; reason: string }): void {
  const { name } = joined.grant as Grant
  if (caller.joined.get(name) !== joined) return
  caller.joined.delete(name)
  joined.leave({ orderly: why.code < 2_500 })
  caller.port.say({ push: { channel: name, unsubscribe: why } })
}

/** After a new token: whoever it lets in no more is put out. A channel's own token, or a service's word, holds on. */
export async function lookAgain(caller: Caller, joined: Joined): Promise<void> {
  if (joined.grant !== undefined && joined.grant.endsAtMs === undefined) await askAgain(caller, joined)
}

async function askAgain(caller: Caller, joined: Joined): Promise<void> {
  const grant = joined.grant as Grant
  try {
    joined.grant = await caller.deps.access.enter(caller.identity as Identity, grant.name)
  } catch (error) {
    const denied = (error as { code?: unknown }).code !== 'UNAVAILABLE'
    if (denied) return putOut(caller, joined, UNSUBSCRIBES.unauthorized)
    const endsAtMs = grant.endsAtMs === undefined ? undefined : caller.deps.now() + ASK_AGAIN_MS
    joined.grant = { ...grant, endsAtMs }
  }
  joined.watchEnd()
}
