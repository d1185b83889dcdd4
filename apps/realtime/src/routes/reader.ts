import { HttpProblem } from '@carillon/service'
import type { FastifyRequest } from 'fastify'
import type { Identity } from '../access/identity.js'
import type { Subscriber } from '../stream/channel.js'
import { type Attachment, HubUnavailable } from '../stream/hub.js'
import type { LatestSubscriber } from '../stream/latest.js'
import type { EdgeDeps } from './edge-deps.js'
import { admit, checkOrigin, identify } from './handshake.js'
import { identifyByTicket } from './on-ticket.js'
import { type WantedChannels, wantedChannels } from './wanted-channels.js'

/** Somebody who reads by plain HTTP, once let in. */
export interface Reader {
  identity: Identity
  wanted: WantedChannels
  /** To be called once, when they are gone. */
  release: () => void
}

/**
 * Lets a reader in: origin, token, standing, admission, channels, and a place among the connections of its user, who
 * is online from then on.
 * @throws HttpProblem
 */
export async function letIn(
  request: FastifyRequest,
  transport: 'sse' | 'poll',
  deps: EdgeDeps,
): Promise<Reader> {
  checkOrigin(request, deps.allowedOrigins)
  const identity = (await identifyByTicket(request, deps)) ?? (await identify(request, deps.verifier))
  if (identity === undefined) {
    throw new HttpProblem(401, 'TOKEN_MISSING', 'Send a user token: Authorization, cookie, or a ticket.')
  }
  if (!(await deps.standing.admits(identity))) {
    throw new HttpProblem(403, 'SUSPENDED', 'This user may not be connected.')
  }
  // before the channels, so that a rush does not ask services about those who are sent away
  admit(transport, deps)
  const wanted = await wantedChannels(request, identity, deps.access)
  if (!deps.connections.claim(identity.userId)) {
    deps.events.refused(transport, 'per-user')
    throw new HttpProblem(429, 'TOO_MANY_CONNECTIONS', 'This user has too many open connections.', {
      headers: { 'retry-after': '10' },
    })
  }
  deps.presence.connected(identity)
  return {
    identity,
    wanted,
    release: () => {
      deps.connections.release(identity.userId)
      deps.presence.gone(identity)
    },
  }
}

/**
 * Brings a reader into its channels, one after the other.
 * @throws HttpProblem 503 when the mesh can't be reached: the reader is in none then, once it is closed
 */
export async function attachAll(
  transport: 'sse' | 'poll',
  reader: { wanted: WantedChannels; join: (attachment: Attachment) => Subscriber | undefined },
  deps: EdgeDeps,
): Promise<Attachment[]> {
  const attachments: Attachment[] = []
  try {
    for (const { spec, from } of reader.wanted.stored) {
      await deps.hub.attach(spec, from, (attachment) => {
        attachments.push(attachment)
        deps.events.attached(transport, attachment)
        return reader.join(attachment)
      })
    }
  } catch (error) {
    if (!(error instanceof HubUnavailable)) throw error
    throw new HttpProblem(503, 'UNAVAILABLE', error.message, { headers: { 'retry-after': '1' } })
  }
  return attachments
}

/** Joins the channels without history, and gives the way out. `newest`: with what was said last in them. */
export function listenTo(
  { identity, wanted }: Reader,
  subscriber: LatestSubscriber,
  { newest, deps }: { newest: boolean; deps: EdgeDeps },
): () => void {
  const leaves = wanted.latest.map((spec) => {
    const joined = deps.latest.join(identity.tenant, spec, subscriber)
    if (newest) {
      for (const frame of joined.newest) subscriber.deliverLatest(`${spec.name} ${frame.key ?? ''}`, frame)
    }
    return joined.leave
  })
  return () => {
    for (const leave of leaves) leave()
  }
}
