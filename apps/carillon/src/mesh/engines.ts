import { startNats, startPostgres, startRedis } from '@carillon/engines'
import type { Progress } from '../terminal/progress.js'
import type { MeshFolder } from './folder.js'
import type { MeshKeys } from './keys.js'

/** Addresses of the three engines, and how to stop those that are ours. */
export interface Engines extends AsyncDisposable {
  natsUrl: string
  /** PostgreSQL with a login that may create roles and tables. */
  ownerUrl: string
  redisUrl: string
}

interface Running {
  url: string
  stop(): Promise<void>
}

/** Addresses in the environment win; what is missing is found or fetched, and started on free ports. */
export async function startEngines(
  folder: MeshFolder,
  keys: MeshKeys,
  env: Readonly<Record<string, string | undefined>>,
  progress: Progress,
): Promise<Engines> {
  const started: Running[] = []
  const engine = async (
    name: string,
    address: string | undefined,
    start: (say: (detail: string) => void) => Promise<Running>,
  ) => {
    if (address !== undefined && address !== '') return address
    const running = await progress.step(name, (say) => start(say))
    started.push(running)
    return running.url
  }
  const report = (say: (detail: string) => void) => (event: { step: string; detail: string }) =>
    say(`${event.step} ${event.detail}`)
  const stop = async () => {
    for (const running of [...started].reverse()) await running.stop()
  }
  try {
    // started side by side: each spends most of its time waiting for the disk or the network
    const [natsUrl, ownerUrl, redisUrl] = await settleAll([
      engine('NATS', env.NATS_URL, (say) =>
        startNats({ dataDir: folder.nats, serverName: 'carillon', onProgress: report(say) }),
      ),
      engine('PostgreSQL', env.DATABASE_OWNER_URL, (say) =>
        startPostgres({
          dataDir: folder.postgres,
          password: keys.postgresPassword,
          settings: { max_connections: '60', shared_buffers: '64MB' },
          onProgress: report(say),
        }),
      ),
      engine('Redis', env.REDIS_URL, (say) => startRedis({ dataDir: folder.redis, onProgress: report(say) })),
    ])
    return { natsUrl, ownerUrl, redisUrl, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Waits for all, so that what did start can be stopped, then throws the first failure. */
async function settleAll(
  work: [Promise<string>, Promise<string>, Promise<string>],
): Promise<[string, string, string]> {
  const results = await Promise.allSettled(work)
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  return Promise.all(work)
}
