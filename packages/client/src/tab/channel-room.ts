import type {
  Channel,
  ChannelMessage,
  ChannelOptions,
  ChannelPresence,
  ChannelSnapshot,
  HistoryOptions,
  PresenceStats,
} from '../api.js'
import { type ChannelEvent, type ChannelState, happen, JOINING } from '../channels/channel-state.js'
import { CarillonError } from '../errors.js'
import type { Call } from '../host/messages.js'
import { Listeners } from './listeners.js'

export interface RoomDeps {
  call: (call: Call) => Promise<unknown>
  /** The last handle left. */
  empty: (name: string) => void
}

/** A tab's view of a channel, which all its handles share. */
export class ChannelRoom {
  readonly name: string
  readonly token: ChannelOptions['token']
  readonly #deps: RoomDeps
  readonly #changed = new Listeners<void>()
  readonly #said = new Listeners<ChannelMessage>()
  #state = JOINING
  #heard = false
  handles = 0

  constructor(name: string, token: ChannelOptions['token'], deps: RoomDeps) {
    this.name = name
    this.token = token
    this.#deps = deps
  }

  /** What the host told so far; null before that. */
  get known(): ChannelState | null {
    return this.#heard ? this.#state : null
  }

  /** All of it at once: of what was missed, what can be known to be new is said. */
  catchUp(state: ChannelState): void {
    const { position } = this.#state
    const missed =
      position === null || position.epoch !== state.position?.epoch
        ? []
        : state.shown.messages.filter(({ offset }) => offset !== null && offset > position.offset)
    this.#heard = true
    this.#state = state
    this.#changed.tell()
    for (const message of missed) this.#said.tell(message)
  }

  happened(event: ChannelEvent): void {
    const before = this.#state
    this.#state = happen(before, event)
    if (this.#state.shown === before.shown) return
    this.#changed.tell()
    if (event.type === 'message') this.#said.tell(event.message)
  }

  /** A handle of its own for each who asks. */
  handle(): Channel {
    this.handles += 1
    let last: ChannelSnapshot | undefined
    const ask = async (call: Call) => {
      if (last !== undefined) throw new CarillonError('LEFT', 'The channel was left.')
      return this.#deps.call(call)
    }
    const { name } = this
    const stops: (() => void)[] = []
    const keep = (stop: () => void) => {
      stops.push(stop)
      return stop
    }
    return {
      name,
      getSnapshot: () => last ?? this.#state.shown,
      subscribe: (listener) => keep(this.#changed.add(listener)),
      onMessage: (listener) => keep(this.#said.add(listener)),
      publish: async (data, { key } = {}) => {
        await ask({ name: 'publish', args: [name, data, key ?? null] })
      },
      history: (options: HistoryOptions = {}) =>
        ask({ name: 'history', args: [name, options] }) as Promise<ChannelMessage[]>,
      presence: () => ask({ name: 'presence', args: [name] }) as Promise<ChannelPresence>,
      presenceStats: () => ask({ name: 'presenceStats', args: [name] }) as Promise<PresenceStats>,
      leave: () => {
        if (last !== undefined) return
        last = { ...this.#state.shown, state: 'left', members: [], memberCount: 0 }
        for (const stop of stops) stop()
        this.handles -= 1
        void this.#deps.call({ name: 'leave', args: [name] }).catch(() => undefined)
        if (this.handles === 0) this.#deps.empty(name)
      },
    }
  }
}
