import { connectHttp } from '@carillon/sdk'
import type { ProcessDeps, Service } from '@carillon/service'
import type { FastifyInstance } from 'fastify'
import pg from 'pg'
import { knowCallers } from './access/callers.js'
import { sessionRoutes } from './access/session-routes.js'
import { carillonChannels } from './carillon.js'
import { rideChannels } from './chat/channel-rule.js'
import { chatRoutes } from './chat/chat-routes.js'
import type { RidesConfig } from './config.js'
import { driverRoutes } from './driving/driver-routes.js'
import { watchSilence } from './driving/drivers.js'
import { createFeed } from './driving/feed.js'
import { createPositions } from './driving/positions.js'
import { createRidesEvents } from './events.js'
import { outboxRoutes } from './outbox/outbox-routes.js'
import { startRelay } from './outbox/relay.js'
import { untilDone } from './repeat.js'
import { rideRoutes } from './ride/ride-routes.js'
import { createTables } from './tables.js'

export interface RidesStartDeps extends ProcessDeps {
  /** Where the routes are added; whoever made it listens and closes it. */
  http: FastifyInstance
  /** Milliseconds; the clock unless given. */
  now?: () => number
}

const SOURCE = '/services/rides'
/** The outbox keeps what could not be published, so nobody is kept waiting for long. */
const PATIENT = { attempts: 3, baseMs: 100, maxMs: 1_000 }
/** A position is worth less than the wait for a second try. */
const LIVE = { timeoutMs: 2_000, retry: { attempts: 1, baseMs: 1, maxMs: 1 } }
const INTRODUCE_EVERY_MS = 2_000

/** Starts the rides service: its tables, its routes, and what it does beside them. */
export async function start(config: RidesConfig, deps: RidesStartDeps): Promise<Service> {
  const now = deps.now ?? Date.now
  const events = createRidesEvents(deps)
  const pool = await openTables(config.databaseUrl, deps)
  const edge = { url: config.carillonUrl, apiKey: config.carillonKey, source: SOURCE }
  const carillon = connectHttp({ ...edge, retry: PATIENT })
  const live = connectHttp({ ...edge, ...LIVE })
  const channels = carillonChannels(carillon, live)
  const relay = startRelay({
    pool,
    outlet: { publishAll: carillon.publishAll, say: channels.say },
    events,
  })
  const feed = createFeed(channels.sayLatest, events.positionsLost)
  const positions = createPositions({ pool, feed, events, now })
  const silence = watchSilence({ pool, relay, positions, events, now })
  const answersOnNats = false
  // Carillon may start later than we do
  const introduction = untilDone(
    INTRODUCE_EVERY_MS,
    () => channels.putRule(rideChannels(answersOnNats)),
    (error) => events.workPostponed('introduce the channels', error),
  )
  await deps.http.register(async (app) => {
    const persons = knowCallers(app, config.token, now)
    const shared = { pool, relay, positions, persons, channels, answersOnNats, now }
    for (const routes of [rideRoutes, chatRoutes, driverRoutes, sessionRoutes, outboxRoutes]) {
      await app.register(routes, shared)
    }
  })
  const removeCheck = deps.health.add('rides-postgres', async () => {
    await pool.query('SELECT 1')
    return undefined
  })
  return {
    name: 'rides',
    async drain() {
      await relay.flush('').catch(events.outboxPostponed)
    },
    async [Symbol.asyncDispose]() {
      removeCheck()
      for (const part of [introduction, silence, positions, feed, relay, live, carillon]) {
        await part[Symbol.asyncDispose]()
      }
      await pool.end()
    },
  }
}

async function openTables(url: string, { logger }: ProcessDeps): Promise<pg.Pool> {
  const pool = new pg.Pool({ connectionString: url, max: 6, application_name: 'rides' })
  pool.on('error', (error) => logger.warn({ err: error }, 'database.connection-lost'))
  try {
    await createTables(pool)
    return pool
  } catch (error) {
    await pool.end()
    throw error
  }
}
