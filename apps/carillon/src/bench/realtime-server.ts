import { openConnection } from '@carillon/jetstream'
import { configSchema, MAX_EVENT_LOOP_DELAY_MS, type RealtimeConfig, start } from '@carillon/realtime'
import { createHealth, createHttpServer, createLogger, createMetrics, listen } from '@carillon/service'
import { answerQuestions } from './push-child.js'
import { ownCpu, ownMemory } from './realtime-cost.js'

/** The process that is measured: one realtime node, as `carillon serve --roles=realtime` makes it. */

export type ServerQuestion =
  | { ask: 'start'; natsUrl: string; config: Partial<RealtimeConfig> }
  | { ask: 'cpu' }
  | { ask: 'memory' }

async function startNode(natsUrl: string, overrides: Partial<RealtimeConfig>): Promise<{ port: number }> {
  const logger = createLogger({ name: 'bench', level: 'error' })
  const metrics = createMetrics()
  const health = createHealth()
  const connection = await openConnection({ servers: natsUrl, name: 'realtime' })
  const recoveryConnection = await openConnection({ servers: natsUrl, name: 'realtime-recovery' })
  const http = await createHttpServer({
    logger,
    metrics,
    health,
    maxEventLoopDelayMs: MAX_EVENT_LOOP_DELAY_MS,
  })
  const defaults = Object.entries(configSchema.properties).map(([name, property]) => [
    name,
    (property as { default?: unknown }).default,
  ])
  await start({ ...Object.fromEntries(defaults), natsUrl, ...overrides } as RealtimeConfig, {
    logger,
    metrics,
    health,
    http,
    connection,
    recoveryConnection,
  })
  const url = await listen(http, { host: '127.0.0.1', port: 0 })
  return { port: Number(new URL(url).port) }
}

await answerQuestions(async (question) => {
  const asked = question as ServerQuestion
  if (asked.ask === 'start') return startNode(asked.natsUrl, asked.config)
  return asked.ask === 'cpu' ? ownCpu() : ownMemory()
})
// a thousand clients would be let go one after another, and nobody listens
process.exit(0)
