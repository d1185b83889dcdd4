import { connectHttp } from '@carillon/sdk'
import type { ProcessDeps, Service } from '@carillon/service'
import type { FastifyInstance } from 'fastify'
import pg from 'pg'
import type { RidesConfig } from './config.js'
import { startRelay } from './outbox.js'
import { ridesRoutes } from './routes.js'
import { createTables } from './store.js'

export interface RidesStartDeps extends ProcessDeps {
  /** Where the routes are added; whoever made it listens and closes it. */
  http: FastifyInstance
}

/** Starts the rides service: its tables, its outbox relay, its routes. */
export async function start(config: RidesConfig, deps: RidesStartDeps): Promise<Service> {
  const pool = new pg.Pool({ connectionString: config.databaseUrl, max: 4, application_name: 'rides' })
  pool.on('error', (error) => deps.logger.warn({ err: error }, 'database.connection-lost'))
  await createTables(pool)
  const carillon = connectHttp({
    url: config.carillonUrl,
    apiKey: config.carillonKey,
    source: '/services/rides',
  })
  const relay = startRelay(pool, carillon, deps.logger)
  await deps.http.register(ridesRoutes, { pool, relay, token: config.token })
  const removeCheck = deps.health.add('rides-postgres', async () => {
    await pool.query('SELECT 1')
    return undefined
  })
  return {
    name: 'rides',
    async drain() {
      await relay.flush()
    },
    async [Symbol.asyncDispose]() {
      removeCheck()
      await relay[Symbol.asyncDispose]()
      await carillon[Symbol.asyncDispose]()
      await pool.end()
    },
  }
}
