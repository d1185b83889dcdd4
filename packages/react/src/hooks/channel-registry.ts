import type { Carillon, Channel, ChannelOptions, ChannelSnapshot } from '@carillon/client'

export type ChannelName = Parameters<Carillon['channel']>[0]

/**
 * One handle of a channel for all components that show it. It outlives its last component for a moment: React takes a
 * component away and puts it back when a page changes, and leaving and joining again would be seen by everybody.
 */
export interface ChannelRegistry {
  getSnapshot(name: ChannelName): ChannelSnapshot
  /** Joins, if nobody did; the returned function lets go. */
  subscribe(name: ChannelName, options: ChannelOptions | undefined, listener: () => void): () => void
  /** Undefined before anybody subscribed. */
  find(name: ChannelName): Channel | undefined
}

const LEAVES_AFTER_MS = 200

export const NO_CHANNEL: ChannelSnapshot = {
  state: 'joining',
  messages: [],
  members: [],
  memberCount: 0,
  recovered: true,
  error: null,
}

interface Entry {
  channel: Channel
  users: number
  leaving: ReturnType<typeof setTimeout> | undefined
}

export function createChannelRegistry(client: Pick<Carillon, 'channel'>): ChannelRegistry {
  const entries = new Map<string, Entry>()
  const join = (name: ChannelName, options: ChannelOptions | undefined): Entry => {
    const entry = { channel: client.channel(name, options), users: 0, leaving: undefined }
    entries.set(name, entry)
    return entry
  }
  return {
    find: (name) => entries.get(name)?.channel,
    getSnapshot: (name) => entries.get(name)?.channel.getSnapshot() ?? NO_CHANNEL,
    subscribe(name, options, listener) {
      const entry = entries.get(name) ?? join(name, options)
      clearTimeout(entry.leaving)
      entry.users += 1
      const stop = entry.channel.subscribe(listener)
      return () => {
        stop()
        entry.users -= 1
        if (entry.users > 0) return
        entry.leaving = setTimeout(() => {
          entries.delete(name)
          entry.channel.leave()
        }, LEAVES_AFTER_MS)
      }
    },
  }
}
