import { openConnection } from '@carillon/jetstream'
import { openDatabase } from '@carillon/postgres'
import { openRedis } from '@carillon/redis'
import { createFailpoint, readConfig, readSecretFiles, runProcess } from '@carillon/service'
import { DispatcherConfig, DispatcherEngines } from './config.js'
import { start } from './start.js'

const env = await readSecretFiles(process.env)
await runProcess({
  name: 'dispatcher',
  start: async (deps) => {
    const config = readConfig(DispatcherConfig, { env })
    const engines = readConfig(DispatcherEngines, { env })
    const connection = await openConnection({ servers: engines.natsUrl, name: 'dispatcher' })
    const database = openDatabase({ url: engines.databaseUrl, max: 8, applicationName: 'dispatcher' })
    const failpoint = createFailpoint(env.CARILLON_FAILPOINT, {
      production: config.environment === 'production',
    })
    const { redisUrl } = engines
    const redis = redisUrl === undefined ? undefined : await openRedis({ url: redisUrl, name: 'dispatcher' })
    const service = await start(config, {
      ...deps,
      connection,
      database,
      failpoint,
      ...(redis === undefined ? {} : { redis }),
    })
    return {
      ...service,
      async [Symbol.asyncDispose]() {
        await service[Symbol.asyncDispose]()
        await redis?.[Symbol.asyncDispose]()
        await database[Symbol.asyncDispose]()
        await connection[Symbol.asyncDispose]()
      },
    }
  },
})
