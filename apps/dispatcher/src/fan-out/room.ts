import { type DeliveryChannel, deliveryDurable, jobStream, type Lane } from '@carillon/contracts'

/** Tells whether job queues have room for more of a broadcast, from what the server said a moment ago. */
export interface Room {
  has(lane: Lane, channels: readonly DeliveryChannel[]): boolean
  /** Asks the server about the queues again, unless it was asked a moment ago. */
  look(lane: Lane, channels: readonly DeliveryChannel[]): Promise<void>
}

/** Jobs of a lane that nobody has handled yet, at which a broadcast holds still. */
const MOST_WAITING = 50_000
const FRESH_MS = 500

export function createRoom(deps: {
  unhandled(stream: string, durable: string): Promise<number>
  now(): number
}): Room {
  const known = new Map<string, { count: number; atMs: number }>()
  return {
    has: (lane, channels) =>
      channels.every((channel) => (known.get(deliveryDurable(channel, lane))?.count ?? 0) <= MOST_WAITING),
    async look(lane, channels) {
      for (const channel of channels) {
        const durable = deliveryDurable(channel, lane)
        const before = known.get(durable)
        if (before !== undefined && deps.now() - before.atMs < FRESH_MS) continue
        // asked for before the answer is there, so that parallel chunks ask once
        known.set(durable, { count: before?.count ?? 0, atMs: deps.now() })
        const count = await deps.unhandled(jobStream(channel), durable)
        known.set(durable, { count, atMs: deps.now() })
      }
    },
  }
}
