import { type CarillonClient, CarillonClientError, connectHttp } from '@carillon/sdk'
import type { ProcessDeps, Service } from '@carillon/service'
import type { FastifyInstance } from 'fastify'
import pg from 'pg'
import { knowCallers } from './access/callers.js'
import { sessionRoutes } from './access/session-routes.js'
import { answerOnNats } from './answer-on-nats.js'
import { NAMESPACE, rideChannels } from './chat/channel-rule.js'
import { chatRoutes } from './chat/chat-routes.js'
import type { RidesConfig } from './config.js'
import { driverRoutes } from './driving/driver-routes.js'
import { watchSilence } from './driving/drivers.js'
import { createFeed } from './driving/feed.js'
import { createPositions } from './driving/positions.js'
import { createRidesEvents, type RidesEvents } from './events.js'
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
const INTRODUCE_EVERY_MS = 500

/** Starts the rides service: its tables, its routes, and what it does beside them. */
export async function start(config: RidesConfig, deps: RidesStartDeps): Promise<Service> {
  const pool = new pg.Pool({ connectionString: config.databaseUrl, max: 6, application_name: 'rides' })
  pool.on('error', (error) => deps.logger.warn({ err: error }, 'database.connection-lost'))
  try {
    await createTables(pool)
    return await run(config, deps, pool)
  } catch (error) {
    await pool.end()
    throw error
  }
}

async function run(config: RidesConfig, deps: RidesStartDeps, pool: pg.Pool): Promise<Service> {
  const now = deps.now ?? Date.now
  const events = createRidesEvents(deps)
  const answering = await answerOnNats(config, { pool, events, source: SOURCE, now })
  const answersOnNats = answering !== undefined
  const edge = { url: config.carillonUrl, apiKey: config.carillonKey, source: SOURCE }
  const carillon = connectHttp({ ...edge, retry: PATIENT })
  const live = connectHttp({ ...edge, ...LIVE })
  const relay = startRelay({ pool, outlet: carillon, events })
  const feed = createFeed(live.publishAllTo, events.positionsLost)
  const positions = createPositions({ pool, feed, events, now })
  const silence = watchSilence({ pool, relay, positions, events, now })
  // Carillon may start later than we do
  const introduction = untilDone(
    INTRODUCE_EVERY_MS,
    () => introduceChannels(live, answersOnNats, events),
    events.introductionPostponed,
  )
  await deps.http.register(async (app) => {
    const persons = knowCallers(app, config.token, now)
    const shared = { pool, relay, positions, persons, carillon, answersOnNats, now }
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
      for (const part of [introduction, answering, silence, positions, feed, relay, live, carillon]) {
        await part?.[Symbol.asyncDispose]()
      }
      await pool.end()
    },
  }
}

/** Says what our channels are. Where the key may not, an operator has to. @throws when Carillon is away */
async function introduceChannels(
  carillon: CarillonClient,
  answersOnNats: boolean,
  events: RidesEvents,
): Promise<void> {
  try {
    await carillon.putChannelRule(NAMESPACE, rideChannels(answersOnNats))
  } catch (error) {
    if (error instanceof CarillonClientError && error.failure === 'unavailable') throw error
    events.introductionRefused(error)
  }
}
