import { mkdir } from 'node:fs/promises'
import { launch } from './engine-process.js'
import { EngineServer } from './engine-server.js'
import { selfIdentity } from './identity.js'
import { locateRedis } from './locate.js'
import type { LocateOptions } from './located.js'
import { onFreePort } from './on-free-port.js'

export interface RedisOptions extends LocateOptions {
  /** Holds the append-only file; made if missing, found again by the next start. */
  readonly dataDir: string
  /** 0 or absent: a free one, kept over restarts. */
  readonly port?: number
  /** False keeps nothing on disk: for tests. True (default) syncs every second, so a power cut may cost one second. */
  readonly persistent?: boolean
  /** More directives, such as `{ maxmemory: '64mb' }`. */
  readonly settings?: Readonly<Record<string, string>>
  readonly onLine?: (line: string) => void
}

/** Starts a Redis (or Valkey) on loopback. Throws EngineUnavailable or EngineFailed. */
export async function startRedis(options: RedisOptions): Promise<EngineServer> {
  const { dataDir, persistent = true, onProgress, onLine } = options
  const found = await locateRedis(options)
  onProgress?.({ engine: 'redis', step: 'start', detail: `redis ${found.version} (${found.origin})` })
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const identity = await selfIdentity('SIGTERM')
  const settings = {
    bind: '127.0.0.1',
    dir: dataDir,
    save: '',
    appendonly: persistent ? 'yes' : 'no',
    appendfsync: 'everysec',
    ...options.settings,
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  const start = (port: number) =>
    launch({
      engine: 'redis',
      command: [found.command, '--port', String(port), ...flags],
      env: { ...process.env, ...found.env },
      identity,
      ready: /Ready to accept connections/,
      stopSignal: 'SIGTERM',
      onLine,
    })
  return onFreePort(options.port ?? 0, async (port) => {
    const facts = { engine: 'redis', url: `redis://127.0.0.1:${port}`, port, dataDir } as const
    return new EngineServer(facts, await start(port), () => start(port))
  })
}
