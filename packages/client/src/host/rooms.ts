import { type ChannelEvent, type ChannelState, happen, JOINING } from '../channels/channel-state.js'
import type { Link } from '../link/link.js'
import type { Hello, HostEvent } from './messages.js'
import type { TokenDesk } from './token-desk.js'

interface Room {
  state: ChannelState
  /** Of all tabs. */
  handles: number
  /** The channel's own token, as it was given last; undefined without one. */
  token: string | undefined
  askToken: (() => Promise<string>) | undefined
}

interface Guest {
  tell: (event: HostEvent) => void
  /** Handles of this tab, by channel. */
  handles: Map<string, number>
}

/** The channels that tabs are in: each is joined once, and left with the last handle of the last tab. */
export class Rooms {
  readonly #link: Link
  readonly #desk: TokenDesk
  readonly #rooms = new Map<string, Room>()
  readonly #guests = new Map<string, Guest>()

  constructor(link: Link, desk: TokenDesk) {
    this.#link = link
    this.#desk = desk
  }

  /** Lets a tab in, with the channels that it was in before. */
  add(tab: string, tell: (event: HostEvent) => void, channels: Hello['channels']): void {
    this.#guests.set(tab, { tell, handles: new Map() })
    for (const { name, handles, hasToken, known } of channels) {
      for (let one = 0; one < handles; one += 1) this.join(tab, name, hasToken, known)
    }
  }

  remove(tab: string): void {
    for (const [name, handles] of this.#guests.get(tab)?.handles ?? []) {
      for (let one = 0; one < handles; one += 1) this.leave(tab, name)
    }
    this.#guests.delete(tab)
  }

  /** Joins once more. `known`: what the tab heard from another host; the channel goes on from there. */
  join(tab: string, name: string, hasToken: boolean, known: ChannelState | null): void {
    const guest = this.#guests.get(tab)
    if (guest === undefined) return
    guest.handles.set(name, (guest.handles.get(name) ?? 0) + 1)
    const room = this.#rooms.get(name)
    const state = room?.state ?? known ?? JOINING
    guest.tell({ type: 'channel', name, state })
    if (room !== undefined) {
      room.handles += 1
      return
    }
    const entered: Room = { state, handles: 1, token: undefined, askToken: undefined }
    if (hasToken) {
      entered.askToken = async () => {
        entered.token = await this.#desk.ask(name, tab)
        return entered.token
      }
    }
    this.#rooms.set(name, entered)
    this.#link.join(name, { token: entered.askToken, since: state.position })
  }

  /** The channel's own token, asked for when there was none yet; undefined for a channel without. */
  async tokenOf(name: string): Promise<string | undefined> {
    const room = this.#rooms.get(name)
    return room?.token ?? room?.askToken?.()
  }

  leave(tab: string, name: string): void {
    const handles = this.#guests.get(tab)?.handles
    const mine = handles?.get(name)
    const room = this.#rooms.get(name)
    if (handles === undefined || mine === undefined || room === undefined) return
    if (mine > 1) handles.set(name, mine - 1)
    else handles.delete(name)
    room.handles -= 1
    if (room.handles > 0) return
    this.#rooms.delete(name)
    this.#link.leave(name)
  }

  happened(name: string, event: ChannelEvent): void {
    const room = this.#rooms.get(name)
    if (room === undefined) return
    const before = room.state
    room.state = happen(before, event)
    // a message that was heard before
    if (event.type === 'message' && room.state.shown === before.shown) return
    for (const { tell, handles } of this.#guests.values()) {
      if (handles.has(name)) tell({ type: 'happened', name, event })
    }
  }
}
