import type {
  Carillon,
  Channel,
  ChannelSnapshot,
  ConnectionState,
  InboxFilter,
  InboxItem,
  InboxSnapshot,
  InboxStore,
} from '@carillon/client'

/** A client whose server is an array; what it was asked stands in `calls`. */
export interface MemoryCarillon extends Carillon {
  calls: string[]
  /** Listeners there are right now, by what they listen to. */
  listeners: { inbox: number; state: number; notifications: number }
  /** Channels joined now, and how often one was joined. */
  joined: { now: number; ever: number }
  arrive(item: InboxItem): void
  /** As another device would. */
  vanish(id: string): void
  become(state: ConnectionState): void
  /** The next load, mark or page is refused. */
  refuseNext(): void
  /** Loads end when told so. */
  hold(): () => void
}

const SHOWN: Readonly<Record<InboxFilter, (item: InboxItem) => boolean>> = {
  all: (item) => item.archivedAt === null && item.snoozedUntil === null,
  unread: (item) => SHOWN.all(item) && item.readAt === null,
  snoozed: (item) => item.snoozedUntil !== null,
  archived: (item) => item.archivedAt !== null,
}

export function createMemoryCarillon(server: InboxItem[], pageSize = 20): MemoryCarillon {
  const calls: string[] = []
  const inboxListeners = new Set<() => void>()
  const stateListeners = new Set<(state: ConnectionState) => void>()
  const arrivals = new Set<(item: InboxItem) => void>()
  const joined = { now: 0, ever: 0 }
  let state: ConnectionState = 'idle'
  let refuse = false
  let held: Promise<void> = Promise.resolve()
  let size = pageSize
  let snapshot: InboxSnapshot = {
    status: 'idle',
    items: [],
    unread: 0,
    filter: 'all',
    hasMore: false,
    loadingMore: false,
    error: null,
  }
  const set = (changes: Partial<InboxSnapshot>) => {
    snapshot = { ...snapshot, ...changes }
    for (const listener of inboxListeners) listener()
  }
  const show = (changes: Partial<InboxSnapshot> = {}) => {
    const filter = changes.filter ?? snapshot.filter
    const all = server.filter(SHOWN[filter])
    const unread = server.filter(SHOWN.unread).length
    set({ items: all.slice(0, size), hasMore: all.length > size, unread, error: null, ...changes })
  }
  const asked = async (what: string) => {
    calls.push(what)
    const refused = refuse
    refuse = false
    await held
    if (refused) throw Object.assign(new Error('The server refuses.'), { code: 'REFUSED' })
  }
  const load = async (changes: Partial<InboxSnapshot> = {}) => {
    set({ status: 'loading', ...changes })
    try {
      await asked('load')
      show({ status: 'ready' })
    } catch {
      set({ status: 'failed', error: { code: 'REFUSED', message: 'The server refuses.' } })
    }
  }
  const mark = async (what: string, ids: readonly string[], changes: Partial<InboxItem>) => {
    const before = ids.map((id) => server.find((item) => item.id === id))
    const put = (id: string, item: InboxItem | undefined) => {
      const at = server.findIndex((one) => one.id === id)
      if (at >= 0 && item) server[at] = item
    }
    for (const [index, id] of ids.entries()) put(id, before[index] && { ...before[index], ...changes })
    show()
    try {
      await asked(`${what} ${ids.join(' ')}`)
    } catch (error) {
      for (const [index, id] of ids.entries()) put(id, before[index])
      show()
      throw error
    }
  }
  const now = () => new Date().toISOString()
  const inbox: InboxStore = {
    getSnapshot: () => snapshot,
    subscribe(listener) {
      inboxListeners.add(listener)
      return () => inboxListeners.delete(listener)
    },
    load: () => load(),
    async loadMore() {
      if (snapshot.loadingMore) return
      set({ loadingMore: true })
      try {
        await asked('loadMore')
        size += pageSize
        show({ loadingMore: false })
      } catch {
        set({ loadingMore: false, error: { code: 'REFUSED', message: 'The server refuses.' } })
      }
    },
    async setFilter(filter) {
      size = pageSize
      await load({ filter, items: [], hasMore: false })
    },
    seen: (ids) => mark('seen', ids, { seenAt: now() }),
    read: (ids) => mark('read', ids, { readAt: now(), seenAt: now() }),
    unread: (ids) => mark('unread', ids, { readAt: null }),
    archive: (ids) => mark('archive', ids, { archivedAt: now() }),
    unarchive: (ids) => mark('unarchive', ids, { archivedAt: null }),
    snooze: (ids, until) => mark('snooze', ids, { snoozedUntil: until.toISOString() }),
    unsnooze: (ids) => mark('unsnooze', ids, { snoozedUntil: null }),
    async remove(ids) {
      for (const id of ids) vanish(id)
      await asked(`remove ${ids.join(' ')}`)
    },
    async readAll() {
      const unread = server.filter(SHOWN.unread).map(({ id }) => id)
      await mark('readAll', unread, { readAt: now() })
    },
  }
  const vanish = (id: string) => {
    const at = server.findIndex((item) => item.id === id)
    if (at >= 0) server.splice(at, 1)
    show()
  }
  const become = (next: ConnectionState) => {
    state = next
    for (const listener of stateListeners) listener(next)
  }
  return {
    calls,
    joined,
    get listeners() {
      return { inbox: inboxListeners.size, state: stateListeners.size, notifications: arrivals.size }
    },
    inbox,
    get state() {
      return state
    },
    error: null,
    connect() {
      calls.push('connect')
      become('connected')
    },
    disconnect: () => become('idle'),
    onState(listener) {
      stateListeners.add(listener)
      return () => stateListeners.delete(listener)
    },
    onNotification(listener) {
      arrivals.add(listener)
      return () => arrivals.delete(listener)
    },
    channel: (name) => createChannel(name, joined),
    registerWebPush: async () => {
      throw new Error('There is no push service here.')
    },
    signOut: async () => become('signed-out'),
    dispose: async () => undefined,
    arrive(item) {
      server.unshift(item)
      show()
      for (const listener of arrivals) listener(item)
    },
    vanish,
    become,
    refuseNext() {
      refuse = true
    },
    hold() {
      const { promise, resolve } = withResolvers()
      held = promise
      return resolve
    },
  }
}

function createChannel(name: string, joined: { now: number; ever: number }): Channel {
  joined.now += 1
  joined.ever += 1
  const listeners = new Set<() => void>()
  const onMessage = new Set<Parameters<Channel['onMessage']>[0]>()
  const me = { client: 'c1', user: 'ada', info: null }
  let snapshot: ChannelSnapshot = {
    state: 'joined',
    messages: [],
    members: [me],
    memberCount: 1,
    recovered: true,
    error: null,
  }
  return {
    name,
    getSnapshot: () => snapshot,
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    onMessage(listener) {
      onMessage.add(listener)
      return () => onMessage.delete(listener)
    },
    async publish(data) {
      const message = { data, offset: snapshot.messages.length + 1, key: null, from: me }
      snapshot = { ...snapshot, messages: [...snapshot.messages, message] }
      for (const listener of listeners) listener()
      for (const listener of onMessage) listener(message)
    },
    history: async () => snapshot.messages,
    presence: async () => ({ clients: 0, users: 0, members: [] }),
    presenceStats: async () => ({ clients: 0, users: 0 }),
    leave() {
      joined.now -= 1
    },
  }
}

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
