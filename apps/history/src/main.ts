import { openConnection } from '@carillon/jetstream'
import { openDatabase } from '@carillon/postgres'
import { readConfig, readSecretFiles, runProcess } from '@carillon/service'
import { HistoryConfig, HistoryEngines } from './config.js'
import { start } from './start.js'

const env = await readSecretFiles(process.env)
await runProcess({
  name: 'history',
  start: async (deps) => {
    const config = readConfig(HistoryConfig, { env })
    const engines = readConfig(HistoryEngines, { env })
    const connection = await openConnection({ servers: engines.natsUrl, name: 'history' })
    const database = openDatabase({ url: engines.databaseUrl, max: 8, applicationName: 'history' })
    const service = await start(config, { ...deps, connection, database })
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
