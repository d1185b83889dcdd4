import { CHANNEL_PERMISSIONS, type ChannelPermission, isToken, parseChannelName } from '@carillon/contracts'

/** Most entries of the claim `channels`, when it is written and when it is read. */
export const MAX_CHANNEL_GRANTS = 100

/** What the claim `rooms` of a token gives for each room that it lists. */
const OF_ROOMS: readonly ChannelPermission[] = ['subscribe', 'presence', 'history']
const PREFIX = /^(?:room|latest):[a-z0-9-]{0,64}\*$/

export type Permissions = ReadonlySet<ChannelPermission>

/** What one token says of one channel. */
export interface ChannelGrant {
  /** A name like `room:ride-9`. */
  channel: string
  permissions: Permissions
  /** Shown to others in the room beside the user's id. */
  info?: unknown
}

/** True for a name of a channel, and for a beginning of one that ends in `*`, like `room:ride-*`. */
export function isChannelPattern(name: string): boolean {
  return PREFIX.test(name) || parseChannelName(name) !== undefined
}

/**
 * Reads the claims `rooms` and `channels` of a token that was verified, into what it allows in a channel: the sum of all
 * entries that match. What can't be read gives nothing.
 */
export function grantsOf(claims: { rooms?: unknown; channels?: unknown }): (channel: string) => Permissions {
  const exact = new Map<string, Permissions>()
  const prefixes: { prefix: string; permissions: Permissions }[] = []
  for (const [name, value] of channelEntries(claims.channels)) {
    const permissions = permissionsOf(value)
    if (name.endsWith('*')) prefixes.push({ prefix: name.slice(0, -1), permissions })
    else exact.set(name, permissions)
  }
  const rooms = new Set(
    Array.isArray(claims.rooms)
      ? claims.rooms.filter((room) => typeof room === 'string' && isToken(room))
      : [],
  )
  return (channel) => {
    const found = new Set(exact.get(channel))
    for (const { prefix, permissions } of prefixes) {
      if (channel.startsWith(prefix)) for (const permission of permissions) found.add(permission)
    }
    if (channel.startsWith('room:') && rooms.has(channel.slice(5))) {
      for (const permission of OF_ROOMS) found.add(permission)
    }
    return found
  }
}

/** A token for one channel is good for nothing else: never for connecting, never for a call. */
export function isChannelToken(claims: { channel?: unknown }): boolean {
  return claims.channel !== undefined
}

/** What a token for one channel says; undefined when it is none, or names no channel. */
export function channelGrantOf(claims: {
  channel?: unknown
  permissions?: unknown
  info?: unknown
}): ChannelGrant | undefined {
  const { channel, permissions, info } = claims
  if (typeof channel !== 'string' || parseChannelName(channel) === undefined) return undefined
  const grant = { channel, permissions: permissionsOf(permissions) }
  return info === undefined ? grant : { ...grant, info }
}

function channelEntries(value: unknown): [string, unknown][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return []
  return Object.entries(value)
    .slice(0, MAX_CHANNEL_GRANTS)
    .filter(([name]) => isChannelPattern(name))
}

/** The permissions in a list; what is none is left out. */
export function permissionsOf(value: unknown): Permissions {
  const list: readonly unknown[] = Array.isArray(value) ? value : []
  return new Set(CHANNEL_PERMISSIONS.filter((permission) => list.includes(permission)))
}
