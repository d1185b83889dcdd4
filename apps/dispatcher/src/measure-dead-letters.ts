import { countDeadLetters, type Database } from '@carillon/postgres'
import type { Metrics } from '@carillon/service'

/** However often somebody reads the metrics. */
const EVERY_MS = 15_000
/** Counting stops here: a long index scan would be felt. */
const AT_MOST = 10_000

/** A gauge of deliveries that failed and wait for somebody: counted when metrics are read, every 15 s at most. */
export function measureDeadLetters(deps: {
  database: Database
  metrics: Metrics
  now: () => number
  onFailure(error: unknown): void
}): void {
  const { database, metrics, now, onFailure } = deps
  let countedAt = Number.NEGATIVE_INFINITY
  metrics.gauge({
    name: 'dispatcher_dead_letters',
    help: `Deliveries that failed and were not sent off again, counted up to ${AT_MOST}.`,
    labels: ['channel', 'reason'],
    async collect(gauge) {
      if (now() - countedAt < EVERY_MS) return
      countedAt = now()
      try {
        const counts = await countDeadLetters(database, AT_MOST)
        gauge.reset()
        for (const { channel, reason, count } of counts)
          gauge.set({ channel, reason: reason ?? 'none' }, count)
      } catch (error) {
        // the numbers of before stay; everything else can still be read
        onFailure(error)
      }
    },
  })
}
