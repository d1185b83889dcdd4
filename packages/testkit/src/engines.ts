import { join } from 'node:path'
import {
  type EngineServer,
  type NatsClusterRun,
  type NatsOptions,
  type NatsServer,
  type RedisOptions,
  startNats,
  startNatsCluster,
  startRedis,
} from '@carillon/engines'
import { type TestScope, useFolder } from './scope.js'

/**
 * A nats-server of its own, with JetStream syncing as in production; gone with the test. Its `kill`, `restart` and
 * `stop` are for the test to use. A `dataDir` given is kept.
 */
export async function useNats(t: TestScope, options: Partial<NatsOptions> = {}): Promise<NatsServer> {
  const dataDir = options.dataDir ?? join(await useFolder(t, 'carillon-nats'), 'data')
  const server = await startNats({ ...options, dataDir })
  t.teardown(() => server.stop())
  return server
}

/** Three nodes (or `nodes`) with a leader. */
export async function useNatsCluster(
  t: TestScope,
  options: Partial<Parameters<typeof startNatsCluster>[0]> = {},
): Promise<NatsClusterRun> {
  const dataDir = options.dataDir ?? (await useFolder(t, 'carillon-nats-cluster'))
  const cluster = await startNatsCluster({ ...options, dataDir })
  t.teardown(() => cluster.stop())
  return cluster
}

/** A Redis of its own that keeps nothing on disk unless `persistent` is set. */
export async function useRedis(t: TestScope, options: Partial<RedisOptions> = {}): Promise<EngineServer> {
  const dataDir = options.dataDir ?? join(await useFolder(t, 'carillon-redis'), 'data')
  const server = await startRedis({ persistent: false, ...options, dataDir })
  t.teardown(() => server.stop())
  return server
}
