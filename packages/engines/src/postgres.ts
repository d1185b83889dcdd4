import { mkdir } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { defaultCacheRoot } from './cache.js'
import { launch } from './engine-process.js'
import { EngineServer } from './engine-server.js'
import { type IdentityKind, unprivilegedIdentity } from './identity.js'
import type { LocateOptions } from './located.js'
import { onFreePort } from './on-free-port.js'
import { locatePostgres } from './postgres-binaries.js'
import { ensureCluster } from './postgres-data.js'

export interface PostgresOptions extends LocateOptions {
  /** The database cluster; made if missing, found again by the next start. As root it is given to another uid. */
  readonly dataDir: string
  /** 0 or absent: a free one, kept over restarts. */
  readonly port?: number
  /** Of the superuser, when the cluster is made; absent: everybody on this machine is trusted. */
  readonly password?: string
  /** Start from a copy of a cached fresh cluster: quicker, but all copies share one system identifier. */
  readonly fromTemplate?: boolean
  /** More settings, such as `{ fsync: 'off' }`. */
  readonly settings?: Readonly<Record<string, string>>
  /** How root gives up being root; chosen by itself when absent. */
  readonly identity?: IdentityKind
  readonly onLine?: (line: string) => void
}

const defaults = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  lc_messages: 'C',
  log_checkpoints: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
}

/**
 * Starts PostgreSQL on loopback; `url` is the superuser's, for the database `postgres`.
 * Throws EngineUnavailable or EngineFailed.
 */
export async function startPostgres(options: PostgresOptions): Promise<EngineServer> {
  const { onProgress, onLine, password } = options
  const dataDir = resolve(options.dataDir)
  const found = await locatePostgres(options)
  await mkdir(dirname(dataDir), { recursive: true })
  const identity = await unprivilegedIdentity({
    folders: [dirname(found.command), dirname(dataDir)],
    // Fast shutdown: SIGTERM would wait for clients that are gone.
    deathSignal: 'SIGINT',
    ...(options.identity && { force: options.identity }),
  })
  onProgress?.({ engine: 'postgres', step: 'initialise', detail: `PostgreSQL ${found.version}` })
  const templateRoot = options.fromTemplate ? (options.cacheRoot ?? defaultCacheRoot()) : undefined
  await ensureCluster({ dataDir, found, identity, password, templateRoot })

  onProgress?.({ engine: 'postgres', step: 'start', detail: `PostgreSQL ${found.version}` })
  const settings = Object.entries({ ...defaults, ...options.settings }).flatMap(([k, v]) => [
    '-c',
    `${k}=${v}`,
  ])
  const start = (port: number) =>
    launch({
      engine: 'postgres',
      command: [found.command, '-D', dataDir, '-p', String(port), ...settings],
      identity,
      ready: /database system is ready to accept connections/,
      stopSignal: 'SIGINT',
      onLine,
      // Recovery after a crash reads the log from the last checkpoint.
      startTimeoutMs: 120_000,
    })
  const user = password === undefined ? 'postgres' : `postgres:${encodeURIComponent(password)}`
  return onFreePort(options.port ?? 0, async (port) => {
    const url = `postgresql://${user}@127.0.0.1:${port}/postgres`
    return new EngineServer({ engine: 'postgres', url, port, dataDir }, await start(port), () => start(port))
  })
}
