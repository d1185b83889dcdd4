import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AuditConfig } from '@carillon/audit'
import { DeliveryConfig } from '@carillon/delivery'
import { DispatcherConfig } from '@carillon/dispatcher'
import { GatewayConfig } from '@carillon/gateway'
import { HistoryConfig } from '@carillon/history'
import { MAX_EVENT_LOOP_DELAY_MS, configSchema as RealtimeConfig } from '@carillon/realtime'
import {
  ConfigError,
  type ConfigProblem,
  createHttpServer,
  integerKey,
  layerFile,
  listen,
  listKey,
  maskConfig,
  readConfig,
  readSecretFiles,
  runProcess,
  textKey,
} from '@carillon/service'
import pc from 'picocolors'
import { type TObject, Type } from 'typebox'
import type { CommandContext } from '../cli.js'
import { EngineAddresses, openAdapters } from '../mesh/adapters.js'
import { Disposal } from '../mesh/disposal.js'
import type { MeshEnvironment } from '../mesh/environment.js'
import type { RoleName } from '../mesh/role-names.js'
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
  const env = await readEnvironment(context)
  checkConfig(names, env)
  const config = readConfig(ServeConfig, { env })
  await runProcess({
    name: names.length === 1 ? (names[0] as RoleName) : 'carillon',
    logLevel: config.logLevel,
    start: async (deps) => {
      await using stack = new Disposal()
      const adapters = stack.use(openAdapters(env, deps))
      const http = await createHttpServer({
        ...deps,
        ...(config.trustProxy.length === 0 ? {} : { trustProxy: config.trustProxy }),
        ...(names.every((name) => name === 'realtime')
          ? { maxEventLoopDelayMs: MAX_EVENT_LOOP_DELAY_MS }
          : {}),
      })
      stack.defer(() => http.close())
      const services = await startRoles(names, { ...deps, env, adapters, http })
      for (const service of services) stack.use(service)
      deps.logger.info({ url: await listen(http, config), roles: names }, 'http.listening')
      const owned = stack.move()
      return {
        name: 'carillon',
        async drain() {
          for (const service of [...services].reverse()) await service.drain()
          await http.close()
        },
        [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
      }
    },
  })
  return (process.exitCode as number | undefined) ?? EXIT.ok
}

/** `carillon.yaml` below the environment, secrets from their files. @throws ConfigError */
async function readEnvironment(context: CommandContext): Promise<MeshEnvironment> {
  const text = await readFile(join(context.base, 'carillon.yaml'), 'utf8').catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return ''
      throw error
    },
  )
  return readSecretFiles(layerFile(text, context.env))
}

const SCHEMAS: Readonly<Record<RoleName, TObject>> = {
  audit: AuditConfig,
  history: HistoryConfig,
  delivery: DeliveryConfig,
  dispatcher: DispatcherConfig,
  realtime: RealtimeConfig,
  gateway: GatewayConfig,
}

/** What a process reads besides its roles. */
const PROCESS: readonly TObject[] = [ServeConfig, EngineAddresses]

/** @throws ConfigError with every problem of the process and of all its roles at once */
function checkConfig(names: readonly RoleName[], env: MeshEnvironment): void {
  const problems = new Map<string, ConfigProblem>()
  for (const schema of [...PROCESS, ...names.map((name) => SCHEMAS[name])]) {
    try {
      readConfig(schema, { env })
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      for (const problem of error.problems) problems.set(problem.key, problem)
    }
  }
  if (problems.size > 0) throw new ConfigError([...problems.values()])
}

/** `carillon config`: what a process and each role would run with. Every problem is told at once. */
export async function showConfig(args: { roles: string }, context: CommandContext): Promise<number> {
  const env = await readEnvironment(context)
  const names = parseRoles(args.roles)
  const shown = [show('process', PROCESS, env), ...names.map((name) => show(name, [SCHEMAS[name]], env))]
  return shown.every((complete) => complete) ? EXIT.ok : EXIT.usage
}

/** Whether all of it can be read. */
function show(title: string, schemas: readonly TObject[], env: MeshEnvironment): boolean {
  let complete = true
  process.stdout.write(`${title}\n`)
  for (const schema of schemas) {
    try {
      for (const [key, value] of Object.entries(maskConfig(schema, readConfig(schema, { env })))) {
        process.stdout.write(`  ${key}: ${JSON.stringify(value)}\n`)
      }
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      complete = false
      for (const { key, problem, remedy } of error.problems) {
        process.stdout.write(`  ${pc.red('✗')} ${key} ${problem} ${remedy}\n`)
      }
    }
  }
  return complete
}
