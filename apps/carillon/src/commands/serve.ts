import { AuditConfig } from '@carillon/audit'
import { DeliveryConfig } from '@carillon/delivery'
import { DispatcherConfig } from '@carillon/dispatcher'
import { GatewayConfig } from '@carillon/gateway'
import { HistoryConfig } from '@carillon/history'
import { configSchema as RealtimeConfig } from '@carillon/realtime'
import {
  createHttpServer,
  integerKey,
  listen,
  listKey,
  maskConfig,
  readConfig,
  readSecretFiles,
  runProcess,
  textKey,
} from '@carillon/service'
import { type TObject, Type } from 'typebox'
import type { CommandContext } from '../cli.js'
import { openAdapters } from '../mesh/adapters.js'
import { parseRoles, startRoles } from '../mesh/roles.js'
import { EXIT } from '../terminal/failure.js'

const ServeConfig = Type.Object({
  host: textKey({ env: 'CARILLON_HOST', description: 'Address to listen on.', default: '127.0.0.1' }),
  port: integerKey({
    env: 'CARILLON_PORT',
    description: 'Port of HTTP, health and metrics; 0 takes a free one.',
    default: 8080,
    minimum: 0,
    maximum: 65535,
  }),
  logLevel: textKey({ env: 'CARILLON_LOG_LEVEL', description: "pino's level.", default: 'info' }),
  trustProxy: listKey({
    env: 'CARILLON_TRUST_PROXY',
    description: 'CIDRs of proxies whose X-Forwarded-* headers are believed.',
    default: [],
  }),
})

/** `carillon serve --roles=…`: roles alone, sharing connections and one HTTP server. Never resolves before the stop. */
export async function serve(args: { roles: string }, context: CommandContext): Promise<number> {
  const names = parseRoles(args.roles)
  const env = await readSecretFiles(context.env)
  const config = readConfig(ServeConfig, { env })
  await runProcess({
    name: names.length === 1 ? (names[0] as string) : 'carillon',
    logLevel: config.logLevel,
    start: async (deps) => {
      const adapters = openAdapters(env, deps)
      const http = await createHttpServer({
        ...deps,
        ...(config.trustProxy.length === 0 ? {} : { trustProxy: config.trustProxy }),
      })
      const services = await startRoles(names, { ...deps, env, adapters, http })
      deps.logger.info({ url: await listen(http, config), roles: names }, 'http.listening')
      return {
        name: 'carillon',
        async drain() {
          for (const service of [...services].reverse()) await service.drain()
          await http.close()
        },
        async [Symbol.asyncDispose]() {
          for (const service of [...services].reverse()) await service[Symbol.asyncDispose]()
          await adapters[Symbol.asyncDispose]()
        },
      }
    },
  })
  return (process.exitCode as number | undefined) ?? EXIT.ok
}

const SCHEMAS: Readonly<Record<string, TObject>> = {
  audit: AuditConfig,
  history: HistoryConfig,
  delivery: DeliveryConfig,
  dispatcher: DispatcherConfig,
  realtime: RealtimeConfig,
  gateway: GatewayConfig,
}

/** `carillon config`: what each role would run with. Every problem of every role is told at once. */
export async function showConfig(args: { roles: string }, context: CommandContext): Promise<number> {
  const env = await readSecretFiles(context.env)
  let failed = false
  for (const name of parseRoles(args.roles)) {
    const schema = SCHEMAS[name] as TObject
    process.stdout.write(`${name}\n`)
    try {
      for (const [key, value] of Object.entries(maskConfig(schema, readConfig(schema, { env })))) {
        process.stdout.write(`  ${key}: ${JSON.stringify(value)}\n`)
      }
    } catch (error) {
      failed = true
      process.stdout.write(`  ${error instanceof Error ? error.message : String(error)}\n`)
    }
  }
  return failed ? EXIT.usage : EXIT.ok
}
