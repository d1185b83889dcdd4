import type { Frame } from '@carillon/contracts'
import { ChannelLog, type Place } from './channel-log.js'
import { readInbox, ShownInbox } from './shown-inbox.js'

/** Who reads, where, and which room besides the own channel. */
export interface ReaderPlan {
  /** As it is told of: `u0 by SSE`. */
  name: string
  user: string
  token: string
  /** Of realtime. */
  realtimeUrl: string
  /** Of the gateway. */
  gatewayUrl: string
  room: string
}

export const PERSONAL = 'user'

/** What one reader writes down, whichever way it reads. */
export class Notes {
  readonly plan: ReaderPlan
  readonly inbox = new ShownInbox()
  /** Own channel and room, by name. */
  readonly channels: ReadonlyMap<string, ChannelLog>
  connects = 0
  /** What a server said that can't be. */
  readonly misunderstood: string[] = []
  readonly #stopping = new AbortController()

  constructor(plan: ReaderPlan) {
    this.plan = plan
    this.channels = new Map([PERSONAL, plan.room].map((channel) => [channel, new ChannelLog()]))
  }

  /** Aborted when the reader is to stop. */
  get stopping(): AbortSignal {
    return this.#stopping.signal
  }

  get personal(): ChannelLog {
    return this.#log(PERSONAL)
  }

  get room(): ChannelLog {
    return this.#log(this.plan.room)
  }

  stop(): void {
    this.#stopping.abort()
  }

  /** Takes something that a server said; what can't be is written down, and the reader reads on. */
  take(said: () => void): void {
    try {
      said()
    } catch (error) {
      this.misunderstood.push(`${this.plan.name}: ${String(error)}`)
    }
  }

  /** A connection stands, in this place of each channel. What it resumes goes on. */
  connected(places: ReadonlyMap<string, Place>): void {
    this.connects++
    for (const [channel, place] of places) this.joined(channel, place)
  }

  joined(channel: string, place: Place): void {
    const log = this.#log(channel)
    if (log.last === undefined) log.begin(place)
  }

  frame(channel: string, place: Place, data: unknown): void {
    if (channel === PERSONAL) {
      this.inbox.apply(data as Frame)
      this.personal.see(place, wordsOf(data as Frame))
    } else this.#log(channel).see(place, String((data as { n: number }).n))
  }

  reset(channel: string, reason: string, place: Place): void {
    this.#log(channel).reset(reason, place)
    if (channel !== PERSONAL) return
    const { gatewayUrl: url, token } = this.plan
    void this.inbox.fetch(() => readInbox({ url, token }), this.stopping)
  }

  #log(channel: string): ChannelLog {
    const log = this.channels.get(channel)
    if (log === undefined) throw new Error(`${this.plan.name} hears of ${channel}, which it did not ask for.`)
    return log
  }
}

function wordsOf(frame: Frame): string {
  if (frame.type === 'delivery.updated') return `${frame.deliveryId} ${frame.status}`
  const revision = frame.type === 'notification.updated' ? ` ${frame.changes.revision ?? ''}` : ''
  return `${frame.type} ${frame.id}${revision}`
}
