import { openConnection } from '@carillon/jetstream'
import { openRedis } from '@carillon/redis'
import { createHttpServer, listen, readConfig, readSecretFiles, runProcess } from '@carillon/service'
import { configSchema, MAX_EVENT_LOOP_DELAY_MS } from './config.js'
import { start } from './start.js'

await runProcess({
  name: 'realtime',
  async start(deps) {
    const config = readConfig(configSchema, { env: await readSecretFiles(process.env) })
    deps.logger.level = config.logLevel
    const connection = await openConnection({ servers: config.natsUrl, name: 'realtime' })
    const recoveryConnection = await openConnection({ servers: config.natsUrl, name: 'realtime-recovery' })
    const { redisUrl } = config
    const redis = redisUrl === undefined ? undefined : await openRedis({ url: redisUrl, name: 'realtime' })
    const http = await createHttpServer({ ...deps, maxEventLoopDelayMs: MAX_EVENT_LOOP_DELAY_MS })
    const service = await start(config, {
      ...deps,
      http,
      connection,
      recoveryConnection,
      ...(redis === undefined ? {} : { redis }),
    })
    deps.logger.info({ url: await listen(http, config) }, 'realtime.listening')
    return {
      name: 'realtime',
      drain: () => service.drain(),
      async [Symbol.asyncDispose]() {
        await service[Symbol.asyncDispose]()
        await http.close()
        await redis?.[Symbol.asyncDispose]()
        await recoveryConnection.close()
        await connection.close()
      },
    }
  },
})
