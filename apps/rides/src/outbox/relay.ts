import type pg from 'pg'
import { gaveUpWaiting, LOCKS } from '../database.js'
import type { RidesEvents } from '../events.js'
import { type OutboxRow, removeRows, setAside, waitingRows } from './outbox-store.js'
import { type Outlet, publishWave } from './publish-wave.js'
import { wavesOf } from './waves.js'

/**
 * Publishes what stands in the outbox and deletes it once Carillon has it. Each story goes out in its order; a row that
 * Carillon refuses for good is set aside and holds nobody up. Of several processes one relays at a time.
 */
export interface Relay extends AsyncDisposable {
  /** Publishes everything there is now. Calls meet: one pass runs at a time. @throws Postponed when a row of `story` has to wait */
  flush(story: string): Promise<void>
  /** The same without waiting; what goes wrong is logged and tried again within seconds. */
  nudge(): void
}

/** What was to be published stays in the outbox for now; `cause` says why. */
export class Postponed extends Error {
  override readonly name = 'Postponed'
  readonly code = 'POSTPONED'
}

export interface RelayDeps {
  pool: pg.Pool
  outlet: Outlet
  events: RidesEvents
}

const BATCH = 200
const EVERY_MS = 5_000
/** Whoever hangs in its turn holds the others up for so long, and what they have waits. */
const TURN_MS = 3_000

export function startRelay(deps: RelayDeps): Relay {
  const { events } = deps
  let running: Promise<Kept> | undefined
  let next: Promise<Kept> | undefined
  const pass = (): Promise<Kept> => {
    running = relayAll(deps).finally(() => {
      running = undefined
    })
    return running
  }
  const meet = (): Promise<Kept> => {
    if (running === undefined) return pass()
    // a pass under way may have looked before the caller's row was there: one more comes after it, for all who wait
    next ??= Promise.allSettled([running]).then(() => {
      next = undefined
      return pass()
    })
    return next
  }
  const nudge = () => {
    meet().then(
      ({ away, held }) => {
        for (const error of away === undefined ? held.values() : [away]) events.outboxPostponed(error)
      },
      (error: unknown) => events.outboxPostponed(error),
    )
  }
  // what a crash left behind goes out without waiting for the next ride
  const timer = setInterval(nudge, EVERY_MS)
  return {
    async flush(story) {
      const { away, held } = await meet()
      const problem = away ?? held.get(story)
      if (problem !== undefined) throw new Postponed('It waits in the outbox.', { cause: problem })
    },
    nudge,
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await Promise.allSettled([running, next])
    },
  }
}

/** What a pass could not publish: all that is left, or single stories. */
interface Kept {
  away?: Error
  held: Map<string, Error>
}

async function relayAll(deps: RelayDeps): Promise<Kept> {
  const client = await deps.pool.connect()
  try {
    await client.query(`SET lock_timeout = ${TURN_MS}`)
    await client.query('SELECT pg_advisory_lock($1)', [LOCKS.relay])
    await client.query('RESET lock_timeout')
    const kept = await relayWaiting(client, deps)
    await client.query('SELECT pg_advisory_unlock($1)', [LOCKS.relay])
    client.release()
    return kept
  } catch (error) {
    // ends the session and with it the lock
    client.release(true)
    if (gaveUpWaiting(error)) return { away: error, held: new Map() }
    throw error
  }
}

async function relayWaiting(client: pg.PoolClient, deps: RelayDeps): Promise<Kept> {
  const held = new Map<string, Error>()
  for (let after = '0'; ; ) {
    const rows = await waitingRows(client, { after, limit: BATCH })
    const last = rows.at(-1)
    if (last === undefined) return { held }
    after = last.id
    for (const whole of wavesOf(rows)) {
      const wave = whole.filter(({ story }) => !held.has(story))
      const away = await relayWave(client, { ...deps, wave, held })
      if (away !== undefined) return { away, held }
    }
  }
}

/** Publishes a wave and writes down what became of it. Gives what is wrong when Carillon can't be reached. */
async function relayWave(
  client: pg.PoolClient,
  { wave, held, outlet, events }: RelayDeps & { wave: OutboxRow[]; held: Map<string, Error> },
): Promise<Error | undefined> {
  const published: string[] = []
  let away: Error | undefined
  for (const { row, outcome } of await publishWave(wave, outlet)) {
    if (outcome.kind === 'published') published.push(row.id)
    else if (outcome.kind === 'refused') {
      await setAside(client, row.id, outcome.problem)
      events.outboxRefused(row, outcome.problem)
    } else if (outcome.kind === 'held') held.set(row.story, outcome.error)
    else away = outcome.error
  }
  await removeRows(client, published)
  return away
}
