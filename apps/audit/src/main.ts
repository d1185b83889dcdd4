import { openConnection } from '@carillon/jetstream'
import { openDatabase } from '@carillon/postgres'
import { readConfig, readSecretFiles, runProcess } from '@carillon/service'
import { AuditConfig, AuditEngines } from './config.js'
import { start } from './start.js'

const env = await readSecretFiles(process.env)
await runProcess({
  name: 'audit',
  start: async (deps) => {
    const config = readConfig(AuditConfig, { env })
    const engines = readConfig(AuditEngines, { env })
    const connection = await openConnection({ servers: engines.natsUrl, name: 'audit' })
    const database = openDatabase({ url: engines.databaseUrl, max: 8, applicationName: 'audit' })
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
