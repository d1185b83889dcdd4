import { openConnection } from '@carillon/jetstream'
import { openDatabase } from '@carillon/postgres'
import { openRedis } from '@carillon/redis'
import { createHttpServer, listen, readConfig, readSecretFiles, runProcess } from '@carillon/service'
import { GatewayConfig, GatewayEngines } from './config.js'
import { start } from './start.js'

const env = await readSecretFiles(process.env)
await runProcess({
  name: 'gateway',
  start: async (deps) => {
    const config = readConfig(GatewayConfig, { env })
    const engines = readConfig(GatewayEngines, { env })
    const connection = await openConnection({ servers: engines.natsUrl, name: 'gateway' })
    const database = openDatabase({ url: engines.databaseUrl, max: 16, applicationName: 'gateway' })
    const http = await createHttpServer({ ...deps, trustProxy: engines.trustProxy })
    const redis =
      engines.redisUrl === undefined ? undefined : await openRedis({ url: engines.redisUrl, name: 'gateway' })
    const service = await start(config, {
      ...deps,
      connection,
      database,
      http,
      ...(redis === undefined ? {} : { redis }),
    })
    deps.logger.info({ url: await listen(http, engines) }, 'gateway.listening')
    return {
      name: service.name,
      async drain() {
        await http.close()
        await service.drain()
      },
      async [Symbol.asyncDispose]() {
        await service[Symbol.asyncDispose]()
        await redis?.[Symbol.asyncDispose]()
        await database[Symbol.asyncDispose]()
        await connection[Symbol.asyncDispose]()
      },
    }
  },
})
