import type { Centrifuge, ClientInfo, PublicationContext, Subscription } from 'centrifuge'
import type { ChannelMessage, ChannelPresence, Member, PresenceStats } from '../api.js'
import type { ChannelEvent, Position } from '../channels/channel-state.js'

/** The protocol's error for a list that would be too long: then they are only counted. */
const TOO_MANY = 106

export interface ChannelWish {
  name: string
  getToken: (() => Promise<string>) | undefined
  /** Where to go on from: of who held the connection before. */
  since: Position | null
  tell: (event: ChannelEvent) => void
}

/** Joins a channel, and joins it again after every loss until it is closed. */
export function joinSubscription(
  centrifuge: Centrifuge,
  { name, getToken, since, tell }: ChannelWish,
): { subscription: Subscription; close: () => void } {
  const isRoom = name.startsWith('room:')
  const subscription = centrifuge.newSubscription(name, {
    joinLeave: true,
    ...(isRoom ? { recoverable: true, positioned: true } : {}),
    ...(isRoom && since !== null ? { since } : {}),
    ...(getToken === undefined ? {} : { getToken }),
  })
  // counts joins, so that what was asked in one is not taken for an answer in another
  let session = 0
  let changes: (() => void)[] | undefined
  const inOrder = (event: ChannelEvent) => {
    // a list of members is on its way: it is older than this
    if (changes === undefined) tell(event)
    else changes.push(() => tell(event))
  }
  subscription.on('subscribing', () => {
    session += 1
    tell({ type: 'joining' })
  })
  subscription.on('subscribed', ({ wasRecovering, recovered, streamPosition }) => {
    session += 1
    tell({
      type: 'joined',
      recovered: !isRoom || !wasRecovering || recovered,
      position: streamPosition ?? null,
    })
    changes = []
    const mine = session
    // undefined where that may not be asked
    void readPresence(subscription)
      .catch(() => undefined)
      .then((list) => {
        if (mine !== session) return
        if (list !== undefined) tell({ type: 'members', members: list.members ?? [], count: list.clients })
        const waiting = changes ?? []
        changes = undefined
        for (const run of waiting) run()
      })
  })
  subscription.on('unsubscribed', ({ code, reason }) => {
    session += 1
    if (code !== 0) tell({ type: 'refused', problem: { code: refusalCode(code), message: reason } })
  })
  subscription.on('publication', (publication) => tell({ type: 'message', message: messageOf(publication) }))
  subscription.on('join', ({ info }) => inOrder({ type: 'came', member: memberOf(info) }))
  subscription.on('leave', ({ info }) => inOrder({ type: 'went', client: info.client }))
  subscription.subscribe()
  return {
    subscription,
    close: () => {
      session += 1
      subscription.removeAllListeners()
      centrifuge.removeSubscription(subscription)
    },
  }
}

/** Who is there. @throws the library's errors */
export async function readPresence(subscription: Subscription): Promise<ChannelPresence> {
  try {
    const { clients } = await subscription.presence()
    const members = Object.values(clients).map(memberOf)
    return { members, clients: members.length, users: new Set(members.map(({ user }) => user)).size }
  } catch (error) {
    if ((error as { code?: number }).code !== TOO_MANY) throw error
    return { ...(await readStats(subscription)), members: null }
  }
}

/** How many are there. @throws the library's errors */
export async function readStats(subscription: Subscription): Promise<PresenceStats> {
  const { numClients, numUsers } = await subscription.presenceStats()
  return { clients: numClients, users: numUsers }
}

export function messageOf(publication: PublicationContext): ChannelMessage {
  const { data, offset, info, tags } = publication
  return {
    data,
    offset: offset ?? null,
    key: tags?.key ?? null,
    from: info === undefined || (info.user === '' && info.client === '') ? null : memberOf(info),
  }
}

function memberOf({ client, user, chanInfo, connInfo }: ClientInfo): Member {
  return { client, user, info: chanInfo ?? connInfo ?? null }
}

function refusalCode(code: number): string {
  return code === 102 ? 'CHANNEL_UNKNOWN' : 'CHANNEL_DENIED'
}
