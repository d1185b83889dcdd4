import { openConnection } from '@carillon/jetstream'
import { openDatabase } from '@carillon/postgres'
import { createFailpoint, readConfig, readSecretFiles, runProcess } from '@carillon/service'
import { DeliveryConfig, DeliveryEngines } from './config.js'
import { start } from './start.js'

const env = await readSecretFiles(process.env)
await runProcess({
  name: 'delivery',
  start: async (deps) => {
    const config = readConfig(DeliveryConfig, { env })
    const engines = readConfig(DeliveryEngines, { env })
    const connection = await openConnection({ servers: engines.natsUrl, name: 'delivery' })
    const database = openDatabase({ url: engines.databaseUrl, max: 8, applicationName: 'delivery' })
    const failpoint = createFailpoint(env.CARILLON_FAILPOINT, {
      production: config.environment === 'production',
    })
    const service = await start(config, { ...deps, connection, database, failpoint })
    return {
      ...service,
      async [Symbol.asyncDispose]() {
        await service[Symbol.asyncDispose]()
        await database[Symbol.asyncDispose]()
        await connection[Symbol.asyncDispose]()
      },
    }
  },
})
