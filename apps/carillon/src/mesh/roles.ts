import { AuditConfig, start as startAudit } from '@carillon/audit'
import { DeliveryConfig, start as startDelivery } from '@carillon/delivery'
import { DispatcherConfig, start as startDispatcher } from '@carillon/dispatcher'
import { GatewayConfig, start as startGateway } from '@carillon/gateway'
import { HistoryConfig, start as startHistory } from '@carillon/history'
import { configSchema as RealtimeConfig, start as startRealtime } from '@carillon/realtime'
import { createFailpoint, type ProcessDeps, readConfig, type Service } from '@carillon/service'
import type { FastifyInstance } from 'fastify'
import { CommandError, EXIT } from '../terminal/failure.js'
import type { Adapters } from './adapters.js'
import type { MeshEnvironment } from './environment.js'
import { ROLE_NAMES, type RoleName } from './role-names.js'

/** What a role is started with. */
export interface RoleContext extends ProcessDeps {
  env: MeshEnvironment
  adapters: Adapters
  http: FastifyInstance
}

type StartRole = (context: RoleContext) => Promise<Service>

const ROLES: Readonly<Record<RoleName, StartRole>> = {
  audit: async (context) =>
    startAudit(readConfig(AuditConfig, { env: context.env }), await workerDeps(context)),
  history: async (context) =>
    startHistory(readConfig(HistoryConfig, { env: context.env }), await workerDeps(context)),
  delivery: async (context) =>
    startDelivery(readConfig(DeliveryConfig, { env: context.env }), await workerDeps(context)),
  dispatcher: async (context) =>
    startDispatcher(readConfig(DispatcherConfig, { env: context.env }), {
      ...(await workerDeps(context)),
      redis: await context.adapters.redis(),
    }),
  realtime: async (context) =>
    startRealtime(readConfig(RealtimeConfig, { env: context.env }), {
      ...processDeps(context),
      http: context.http,
      connection: await context.adapters.connection(),
      recoveryConnection: await context.adapters.recoveryConnection(),
      redis: await context.adapters.redis(),
    }),
  gateway: async (context) =>
    startGateway(readConfig(GatewayConfig, { env: context.env }), {
      ...processDeps(context),
      http: context.http,
      connection: await context.adapters.connection(),
      database: context.adapters.requestDatabase(),
      redis: await context.adapters.redis(),
    }),
}

/** `all`, or a list like `gateway,realtime`. @throws CommandError for a name that no role has */
export function parseRoles(text: string): RoleName[] {
  const wanted: readonly string[] = text === 'all' ? ROLE_NAMES : text.split(',').map((name) => name.trim())
  const unknown = wanted.filter((name) => !Object.hasOwn(ROLES, name))
  if (unknown.length > 0) {
    throw new CommandError(`There is no role ${unknown.map((name) => `"${name}"`).join(', ')}.`, {
      remedy: `Roles are ${ROLE_NAMES.join(', ')}, or all.`,
      exitCode: EXIT.usage,
    })
  }
  return ROLE_NAMES.filter((name) => wanted.includes(name))
}

/** Starts roles one after another; when one fails, those that run are stopped again. */
export async function startRoles(names: readonly RoleName[], context: RoleContext): Promise<Service[]> {
  const services: Service[] = []
  try {
    for (const name of names) services.push(await ROLES[name](context))
    return services
  } catch (error) {
    for (const service of [...services].reverse()) await service[Symbol.asyncDispose]()
    throw error
  }
}

function processDeps({ logger, metrics, health }: RoleContext): ProcessDeps {
  return { logger, metrics, health }
}

async function workerDeps(context: RoleContext) {
  return {
    ...processDeps(context),
    connection: await context.adapters.connection(),
    database: context.adapters.workerDatabase(),
    failpoint: createFailpoint(context.env.CARILLON_FAILPOINT, {
      production: context.env.CARILLON_ENVIRONMENT !== 'development',
    }),
  }
}
