import { type Connection, openConnection } from '@carillon/jetstream'
import { type Database, openDatabase } from '@carillon/postgres'
import { openRedis, type RedisConnection } from '@carillon/redis'
import { type Health, type Logger, readConfig, textKey } from '@carillon/service'
import { Type } from 'typebox'
import type { MeshEnvironment } from './environment.js'

/** What every process of roles is told of the engines. */
export const EngineAddresses = Type.Object({
  natsUrl: textKey({ env: 'NATS_URL', description: 'Address of NATS, like nats://127.0.0.1:4222.' }),
  databaseUrl: textKey({
    env: 'DATABASE_URL',
    description: 'PostgreSQL with the login of the request role.',
    secret: true,
  }),
  workerUrl: textKey({
    env: 'DATABASE_WORKER_URL',
    description: 'PostgreSQL with the login of the worker role.',
    secret: true,
  }),
  redisUrl: textKey({ env: 'REDIS_URL', description: 'Address of Redis or Valkey.', secret: true }),
  natsSeed: Type.Optional(
    textKey({
      env: 'NATS_NKEY_SEED',
      description: "Seed of this process's nkey user on NATS.",
      secret: true,
    }),
  ),
  natsInboxPrefix: Type.Optional(
    textKey({ env: 'NATS_INBOX_PREFIX', description: 'Private inbox of that user, like _INBOX_dispatcher.' }),
  ),
})

/** Connections that the roles of one process share. Each is opened when the first role asks for it. */
export interface Adapters extends AsyncDisposable {
  connection(): Promise<Connection>
  /** Reads of returning clients have a connection of their own, so that they don't delay live frames. */
  recoveryConnection(): Promise<Connection>
  requestDatabase(): Database
  workerDatabase(): Database
  redis(): Promise<RedisConnection>
}

/** @throws ConfigError when an address is missing */
export function openAdapters(env: MeshEnvironment, deps: { health: Health; logger: Logger }): Adapters {
  const addresses = readConfig(EngineAddresses, { env })
  const open: AsyncDisposable[] = []
  const keep = <T extends AsyncDisposable>(resource: T): T => {
    open.push(resource)
    return resource
  }
  const once = <T>(make: () => T): (() => T) => {
    let made: { value: T } | undefined
    return () => {
      made ??= { value: make() }
      return made.value
    }
  }
  const nats = (name: string) => async () => {
    const { natsUrl, natsSeed, natsInboxPrefix } = addresses
    const connection = keep(
      await openConnection({
        servers: natsUrl,
        name,
        ...(natsSeed === undefined ? {} : { credentials: { kind: 'nkey', seed: natsSeed } }),
        ...(natsInboxPrefix === undefined ? {} : { inboxPrefix: natsInboxPrefix }),
      }),
    )
    deps.health.add(name, () => (connection.connected ? undefined : 'NATS is away'))
    return connection
  }
  const database = (name: string, url: string, max: number) => () => {
    const opened = keep(openDatabase({ url, max, applicationName: name }))
    deps.health.add(name, () => opened.health())
    return opened
  }
  return {
    connection: once(nats('nats')),
    recoveryConnection: once(nats('nats-recovery')),
    requestDatabase: once(database('postgres', addresses.databaseUrl, 10)),
    workerDatabase: once(database('postgres-workers', addresses.workerUrl, 10)),
    redis: once(async () => keep(await openRedis({ url: addresses.redisUrl, name: 'carillon' }))),
    async [Symbol.asyncDispose]() {
      for (const resource of [...open].reverse()) await resource[Symbol.asyncDispose]()
    },
  }
}
