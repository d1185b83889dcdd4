import type { ConnectionState, InboxFilter, Problem } from '../api.js'
import { CarillonError } from '../errors.js'
import { createRemoteInbox } from '../inbox/remote.js'
import { InboxSync } from '../inbox/sync.js'
import { createCentrifugeLink } from '../link/centrifuge-link.js'
import { createEventSourceLink } from '../link/event-source-link.js'
import { createHttp, type Http } from '../link/http.js'
import type { Link, LinkEvents, LinkOptions } from '../link/link.js'
import { createTokens } from '../link/tokens.js'
import type { Memory } from '../memory.js'
import type { Call, Hello, HostEvent, HostPort, TokenAnswer } from './messages.js'
import { Rooms } from './rooms.js'
import { TokenDesk } from './token-desk.js'

export interface HostOptions extends LinkOptions {
  fetch: typeof fetch
  pageSize: number | undefined
  now: () => number
  memory: Memory
  /** The tabs knew another host before: what came meanwhile is still told. */
  takesOver: boolean
}

interface Tab {
  hello: { wanted: boolean; filter: InboxFilter }
  tell: (event: HostEvent) => void
}

const PAGE_SIZE = 20

/** Holds the connection, the inbox and the channels for all tabs of a person. */
export class Host {
  readonly #options: HostOptions
  readonly #desk = new TokenDesk()
  readonly #tabs = new Map<string, Tab>()
  readonly #rooms: Rooms
  readonly #link: Link
  readonly #http: Http
  readonly #inbox: InboxSync
  readonly #tokens
  #state: ConnectionState = 'idle'
  #problem: Problem | null = null
  #telling = false
  #closed = false

  constructor(options: HostOptions) {
    this.#options = options
    this.#tokens = createTokens(() => this.#desk.ask(null))
    this.#http = createHttp({ url: options.url, tokens: this.#tokens, fetch: options.fetch })
    const createLink = options.transports === 'sse' ? createEventSourceLink : createCentrifugeLink
    const events: LinkEvents = {
      state: (state, problem) => this.#onState(state, problem),
      personal: (recovered) => this.#inbox.joined(recovered),
      frame: (frame) => this.#inbox.hear(frame),
      channel: (name, event) => this.#rooms.happened(name, event),
    }
    this.#link = createLink(options, { tokens: this.#tokens, http: this.#http, events })
    this.#rooms = new Rooms(this.#link, this.#desk)
    this.#inbox = new InboxSync({
      remote: createRemoteInbox((method, params) => this.#link.rpc(method, params), this.#http),
      pageSize: options.pageSize ?? PAGE_SIZE,
      now: options.now,
      changed: () => this.#tellInbox(),
      arrived: (notification) => this.#tellAll({ type: 'arrived', notification }),
      keep: (waiting) => options.memory.keepMarks(waiting),
    })
    void this.#remember()
  }

  /** Lets a tab in: it is told everything at once, and from then on what changes. */
  attach(id: string, hello: Hello, tell: (event: HostEvent) => void): HostPort {
    this.detach(id)
    const tab: Tab = { hello: { wanted: hello.wanted, filter: hello.filter }, tell }
    this.#tabs.set(id, tab)
    this.#desk.add(id, tell)
    if (hello.inbox !== null) this.#inbox.restore(hello.inbox)
    if (this.#options.takesOver && hello.newest !== null) this.#inbox.announceAbove(hello.newest)
    this.#rooms.add(id, tell, hello.channels)
    this.#useFilters()
    this.#wantConnection()
    // not of an end that its coming undoes
    tell({ type: 'state', state: this.#state, problem: this.#problem })
    this.#tellInbox()
    return {
      call: (call) => this.#call(id, tab, call),
      answer: (question: string, answer: TokenAnswer) => this.#desk.answer(question, answer),
      close: () => this.detach(id),
    }
  }

  /** A tab is gone, with all that it wanted. */
  detach(id: string): void {
    if (!this.#tabs.has(id)) return
    this.#rooms.remove(id)
    this.#tabs.delete(id)
    this.#desk.remove(id)
    this.#useFilters()
    this.#wantConnection()
  }

  /** Ends the connection. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#inbox.stop()
    this.#link.disconnect()
    this.#desk.close()
  }

  async #call(id: string, tab: Tab, call: Call): Promise<unknown> {
    if (this.#closed) throw new CarillonError('DISPOSED', 'The client was disposed.')
    switch (call.name) {
      case 'want':
        tab.hello.wanted = call.args[0]
        return this.#wantConnection()
      case 'filter':
        tab.hello.filter = call.args[0]
        this.#useFilters()
        return this.#tellInbox()
      case 'load':
        return this.#inbox.load(...call.args)
      case 'loadMore':
        return this.#inbox.loadMore(...call.args)
      case 'mark':
        return this.#inbox.mark(...call.args)
      case 'readAll':
        return this.#inbox.readAll()
      case 'join':
        return this.#rooms.join(id, ...call.args)
      case 'leave':
        return this.#rooms.leave(id, ...call.args)
      case 'publish':
        return this.#publish(...call.args)
      case 'history':
        return this.#link.history(...call.args)
      case 'presence':
        return this.#link.presence(...call.args)
      case 'presenceStats':
        return this.#link.presenceStats(...call.args)
      case 'wake':
        return this.#link.wake()
      case 'networkLost':
        return this.#link.networkLost()
      case 'signOut':
        return this.#signOut()
    }
  }

  async #publish(name: string, data: object, key: string | null): Promise<void> {
    if (key === null && this.#options.transports !== 'sse') return this.#link.publish(name, data)
    const path = `/v1/me/channels/${encodeURIComponent(name)}/publish`
    const token = await this.#rooms.tokenOf(name)
    await this.#http.call('POST', path, {
      data,
      ...(key === null ? {} : { key }),
      ...(token === undefined ? {} : { token }),
    })
  }

  #signOut(): void {
    for (const { hello } of this.#tabs.values()) hello.wanted = false
    this.#link.disconnect()
    this.#tokens.forget()
    this.#onState('signed-out', null)
  }

  async #remember(): Promise<void> {
    const { marks, inbox } = await this.#options.memory.read()
    if (this.#closed) return
    if (inbox !== null) this.#inbox.restore(inbox)
    this.#inbox.restoreMarks(marks)
  }

  #wantConnection(): void {
    const wanted = [...this.#tabs.values()].some(({ hello }) => hello.wanted)
    if (wanted && (this.#state === 'idle' || this.#state === 'signed-out')) this.#link.connect()
    if (!wanted && this.#state !== 'idle' && this.#state !== 'signed-out') this.#link.disconnect()
  }

  #onState(state: ConnectionState, problem: Problem | null): void {
    if (this.#closed || (state === this.#state && problem === null)) return
    this.#state = state
    this.#problem = problem
    if (state !== 'connected') this.#inbox.left()
    // a refusal for good is not tried again before somebody asks for it
    if (problem !== null || state === 'signed-out')
      for (const { hello } of this.#tabs.values()) hello.wanted = false
    if (state === 'signed-out') {
      this.#inbox.forget()
      void this.#options.memory.forget()
    }
    this.#tellAll({ type: 'state', state, problem })
  }

  #useFilters(): void {
    this.#inbox.use(new Set([...this.#tabs.values()].map(({ hello }) => hello.filter)))
  }

  /** Once for all changes of a moment. */
  #tellInbox(): void {
    if (this.#telling || this.#closed) return
    this.#telling = true
    queueMicrotask(() => {
      this.#telling = false
      for (const { hello, tell } of this.#tabs.values()) {
        tell({ type: 'inbox', filter: hello.filter, shown: this.#inbox.shown(hello.filter) })
      }
      const kept = this.#inbox.kept()
      if (kept !== undefined) this.#options.memory.keepInbox(kept)
    })
  }

  #tellAll(event: HostEvent): void {
    for (const { tell } of this.#tabs.values()) tell(event)
  }
}
