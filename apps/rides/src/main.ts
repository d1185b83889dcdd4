import { createHttpServer, listen, readConfig, readSecretFiles, runProcess } from '@carillon/service'
import { RidesConfig } from './config.js'
import { start } from './start.js'

await runProcess({
  name: 'rides',
  start: async (deps) => {
    const config = readConfig(RidesConfig, { env: await readSecretFiles(process.env) })
    const http = await createHttpServer(deps)
    const service = await start(config, { ...deps, http })
    deps.logger.info({ url: await listen(http, config) }, 'http.listening')
    return {
      ...service,
      async drain() {
        await http.close()
        await service.drain()
      },
    }
  },
})
