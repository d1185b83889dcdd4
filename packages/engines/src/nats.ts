import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { launch } from './engine-process.js'
import { EngineServer } from './engine-server.js'
import { freePort } from './free-port.js'
import { selfIdentity } from './identity.js'
import { locateNats } from './locate.js'
import type { LocateOptions } from './located.js'
import { type ConfigValue, type NatsClusterOptions, renderNatsConfig } from './nats-config.js'
import { onFreePort } from './on-free-port.js'

export interface NatsOptions extends LocateOptions {
  /** Holds the store, the configuration and the log position; made if missing, found again by the next start. */
  readonly dataDir: string
  /** 0 or absent: a free one, kept over restarts. */
  readonly port?: number
  readonly serverName?: string
  /** `always` (default): an acknowledged message survives a power cut. Anything else is for tests. */
  readonly syncInterval?: string
  readonly maxStore?: string
  readonly maxPayloadBytes?: number
  readonly cluster?: NatsClusterOptions
  readonly extraConfig?: Readonly<Record<string, ConfigValue>>
  readonly onLine?: (line: string) => void
}

/** A running nats-server with JetStream. */
export class NatsServer extends EngineServer {
  /** Base address of `/healthz`, `/jsz`, `/varz`, … */
  readonly monitorUrl: string

  constructor(monitorUrl: string, ...rest: ConstructorParameters<typeof EngineServer>) {
    super(...rest)
    this.monitorUrl = monitorUrl
  }
}

/**
 * Starts a nats-server on loopback and returns when it serves clients (as a node of a cluster: before that has a
 * leader). Throws EngineUnavailable or EngineFailed.
 */
export async function startNats(options: NatsOptions): Promise<NatsServer> {
  const { dataDir, onProgress, onLine } = options
  const found = await locateNats(options)
  const configFile = join(dataDir, 'nats-server.conf')
  const configure = async (port: number, monitorPort: number) => {
    const text = renderNatsConfig({
      serverName: options.serverName ?? 'carillon',
      dataDir,
      port,
      monitorPort,
      syncInterval: options.syncInterval ?? 'always',
      maxStore: options.maxStore,
      maxPayloadBytes: options.maxPayloadBytes ?? 2 ** 20,
      cluster: options.cluster,
      extraConfig: options.extraConfig ?? {},
    })
    // It may hold passwords of the configuration given.
    await writeFile(configFile, text, { mode: 0o600 })
    await chmod(configFile, 0o600)
  }
  const identity = await selfIdentity('SIGTERM')
  const start = () =>
    launch({
      engine: 'nats',
      command: [found.command, '--config', configFile],
      env: { ...process.env, ...found.env },
      identity,
      ready: /Server is ready/,
      stopSignal: 'SIGTERM',
      onLine,
    })

  onProgress?.({ engine: 'nats', step: 'start', detail: `nats-server ${found.version} (${found.origin})` })
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const { first, client, monitor } = await onFreePort(options.port ?? 0, async (client) => {
    const monitor = await freePort()
    await configure(client, monitor)
    return { first: await start(), client, monitor }
  })
  return new NatsServer(
    `http://127.0.0.1:${monitor}`,
    { engine: 'nats', url: `nats://127.0.0.1:${client}`, port: client, dataDir },
    first,
    async () => {
      await configure(client, monitor)
      return start()
    },
  )
}
