import type { InboxItem } from '@carillon/contracts'
import type { CarillonOptions, Channel, ChannelOptions, ConnectionState, Problem } from '../api.js'
import { CarillonError, isUnauthorized } from '../errors.js'
import type { Call, Hello, HostEvent, HostPort, TokenAnswer } from '../host/messages.js'
import type { Guest } from '../tabs/place.js'
import { ChannelRoom } from './channel-room.js'
import { TabInbox } from './inbox-store.js'
import { Listeners } from './listeners.js'

/** These say what the tab wants: a new host learns it from the hello, and what comes behind that when it answers. */
const WISHES: ReadonlySet<Call['name']> = new Set(['want', 'filter', 'join', 'leave'])
/** These are of this moment: without a host they are for nobody. */
const MOMENTS: ReadonlySet<Call['name']> = new Set(['wake', 'networkLost'])
const MAX_ANNOUNCED = 500

interface Asked {
  call: Call
  resolve: (value: unknown) => void
  reject: (error: unknown) => void
}

/** One page's part: what it shows and wants, whichever host it talks to at the moment. */
export class Tab implements Guest {
  readonly id = crypto.randomUUID()
  readonly inbox = new TabInbox((call) => this.call(call))
  readonly states = new Listeners<ConnectionState>()
  readonly arrivals = new Listeners<InboxItem>()
  readonly #getToken: CarillonOptions['getToken']
  readonly #rooms = new Map<string, ChannelRoom>()
  readonly #asked = new Set<Asked>()
  readonly #announced = new Set<string>()
  #port: HostPort | undefined
  #hostState: ConnectionState = 'idle'
  #wanted = false
  #shown: ConnectionState = 'idle'
  #disposed = false
  /** The newest notification that was shown here; null before any page was. */
  #newest: string | null = null
  error: Problem | null = null

  constructor(getToken: CarillonOptions['getToken']) {
    this.#getToken = getToken
  }

  get state(): ConnectionState {
    return this.#shown
  }

  want(wanted: boolean): void {
    if (this.#disposed) throw new CarillonError('DISPOSED', 'The client was disposed.')
    this.#wanted = wanted
    this.#show()
    void this.call({ name: 'want', args: [wanted] })
  }

  channel(name: string, options: ChannelOptions = {}): Channel {
    if (this.#disposed) throw new CarillonError('DISPOSED', 'The client was disposed.')
    let room = this.#rooms.get(name)
    if (room === undefined) {
      room = new ChannelRoom(name, options.token, {
        call: (call) => this.call(call),
        empty: (left) => this.#rooms.delete(left),
      })
      this.#rooms.set(name, room)
    }
    const handle = room.handle()
    void this.call({ name: 'join', args: [name, room.token !== undefined, room.known] })
    return handle
  }

  /** Asks the host. What it did not answer when it went is asked of the next one. @throws CarillonError, UnauthorizedError */
  call(call: Call): Promise<unknown> {
    if (this.#disposed) return Promise.reject(new CarillonError('DISPOSED', 'The client was disposed.'))
    if (MOMENTS.has(call.name)) {
      // a host that goes has no connection left to wake or to cut
      this.#port?.call(call).catch(() => undefined)
      return Promise.resolve()
    }
    if (WISHES.has(call.name)) {
      // nobody waits for these: the host may go before it answers
      this.#put({ call, resolve: () => undefined, reject: () => undefined })
      return Promise.resolve()
    }
    // in this tab it may come with its end before the answer to an earlier wish
    if (call.name === 'signOut') this.#wanted = false
    return new Promise((resolve, reject) => this.#put({ call, resolve, reject }))
  }

  hello(): Hello {
    for (const asked of this.#asked) if (WISHES.has(asked.call.name)) this.#asked.delete(asked)
    const { status, items, unread, filter } = this.inbox.getSnapshot()
    return {
      wanted: this.#wanted,
      filter,
      inbox: status === 'ready' && filter === 'all' ? { items, unread } : null,
      newest: this.#newest,
      channels: [...this.#rooms.values()].map(({ name, handles, token, known }) => ({
        name,
        handles,
        hasToken: token !== undefined,
        known,
      })),
    }
  }

  found(port: HostPort): void {
    this.#port = port
    // what an answer makes the page ask is asked by itself
    for (const asked of [...this.#asked]) if (this.#asked.has(asked)) this.#ask(asked)
  }

  lost(): void {
    // what waits for a first host was sent to none
    if (this.#port === undefined) return
    this.#port = undefined
    for (const asked of [...this.#asked]) {
      if (asked.call.name !== 'publish') continue
      this.#asked.delete(asked)
      asked.reject(new CarillonError('UNKNOWN_OUTCOME', 'The tab that held the connection was closed.'))
    }
  }

  hear(event: HostEvent): void {
    switch (event.type) {
      case 'state':
        this.#hostState = event.state
        this.error = event.problem
        // what is told before the answer to a wish is older than the wish
        if ((event.problem !== null || event.state === 'signed-out') && !this.#wishes) this.#wanted = false
        this.#show()
        break
      case 'inbox':
        if (event.shown.status === 'ready') this.#seen(event.shown.items[0]?.id ?? '')
        this.inbox.hear(event)
        break
      case 'arrived':
        this.#announce(event.notification)
        break
      case 'channel':
        this.#rooms.get(event.name)?.catchUp(event.state)
        break
      case 'happened':
        this.#rooms.get(event.name)?.happened(event.event)
        break
      case 'token':
        void this.#token(event.channel).then((answer) => this.#port?.answer(event.id, answer))
    }
  }

  dispose(): void {
    this.#disposed = true
    this.#port?.close()
    this.#port = undefined
    for (const { reject } of this.#asked) reject(new CarillonError('DISPOSED', 'The client was disposed.'))
    this.#asked.clear()
    this.#wanted = false
    this.#show()
  }

  /** Asked in the page's order, now or when there is a host. */
  #put(asked: Asked): void {
    this.#asked.add(asked)
    this.#ask(asked)
  }

  #ask(asked: Asked): void {
    const port = this.#port
    if (port === undefined) return
    port.call(asked.call).then(
      (value) => {
        if (this.#asked.delete(asked)) asked.resolve(value)
      },
      (error: unknown) => {
        // the host that went away also ended what it was doing
        if (port !== this.#port && !this.#disposed) return
        if (this.#asked.delete(asked)) asked.reject(error)
      },
    )
  }

  /** Whether it was just said that a connection is wanted. */
  get #wishes(): boolean {
    return this.#wanted && [...this.#asked].some(({ call }) => call.name === 'want')
  }

  async #token(channel: string | null): Promise<TokenAnswer> {
    try {
      const ask = channel === null ? this.#getToken : this.#rooms.get(channel)?.token
      if (ask === undefined) throw new Error(`No token for ${channel}.`)
      return { token: await ask() }
    } catch (error) {
      return {
        unauthorized: isUnauthorized(error),
        message: error instanceof Error ? error.message : String(error),
      }
    }
  }

  #seen(id: string): void {
    if (this.#newest === null || id > this.#newest) this.#newest = id
  }

  #announce(notification: InboxItem): void {
    this.#seen(notification.id)
    if (this.#announced.has(notification.id)) return
    this.#announced.add(notification.id)
    const [oldest] = this.#announced
    if (this.#announced.size > MAX_ANNOUNCED && oldest !== undefined) this.#announced.delete(oldest)
    this.arrivals.tell(notification)
  }

  /** A tab that wants no connection shows none, though others may have one. */
  #show(): void {
    const ended = this.#hostState === 'idle' || this.#hostState === 'signed-out'
    const unwanted = this.#hostState === 'signed-out' ? 'signed-out' : 'idle'
    const state = !this.#wanted ? unwanted : ended ? 'connecting' : this.#hostState
    if (state === this.#shown) return
    this.#shown = state
    this.states.tell(state)
  }
}
