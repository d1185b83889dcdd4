import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { launch } from './engine-process.js'
import { EngineServer } from './engine-server.js'
import { EngineFailed } from './errors.js'
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

/**
 * Starts a Redis (or Valkey) on loopback. An append-only file that a power cut left unreadable is put aside, since
 * everything in Redis may be lost and nothing may keep it from starting. Throws EngineUnavailable or EngineFailed.
 */
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
  const startAnyway = async (port: number) => {
    try {
      return await start(port)
    } catch (error) {
      if (!(error instanceof EngineFailed) || !error.lastLines.some((line) => UNREADABLE.test(line)))
        throw error
      onProgress?.({ engine: 'redis', step: 'start', detail: 'its file is damaged and was put aside' })
      await rename(join(dataDir, APPEND_FOLDER), join(dataDir, `${APPEND_FOLDER}.damaged-${Date.now()}`))
      return start(port)
    }
  }
  return onFreePort(options.port ?? 0, async (port) => {
    const facts = { engine: 'redis', url: `redis://127.0.0.1:${port}`, port, dataDir } as const
    return new EngineServer(facts, await startAnyway(port), () => startAnyway(port))
  })
}

const APPEND_FOLDER = 'appendonlydir'
/** What Redis and Valkey say of an append-only file that they can't load; a cut-off end they mend themselves. */
const UNREADABLE =
  /Bad file format reading the append only file|Unrecoverable error reading the append only file/
