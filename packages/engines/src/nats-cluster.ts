import { join } from 'node:path'
import { EngineFailed } from './errors.js'
import { freePorts } from './free-port.js'
import { type NatsOptions, type NatsServer, startNats } from './nats.js'

export interface NatsClusterRun extends AsyncDisposable {
  readonly nodes: readonly NatsServer[]
  /** Addresses of all nodes; a client given all of them survives the loss of one. */
  readonly urls: readonly string[]
  stop(): Promise<void>
}

/**
 * Starts nodes of one cluster on loopback (three unless told) and returns when they have a leader for JetStream and
 * every node is healthy. Throws like `startNats`; then nothing is left running.
 */
export async function startNatsCluster(
  options: Omit<NatsOptions, 'cluster' | 'port' | 'serverName'> & { readonly nodes?: number },
): Promise<NatsClusterRun> {
  const { nodes: count = 3, dataDir, ...rest } = options
  for (let attempt = 1; ; attempt++) {
    const ports = await freePorts(count)
    const routes = ports.map((port) => `nats://127.0.0.1:${port}`)
    const results = await Promise.allSettled(
      ports.map((port, index) => {
        const serverName = `node-${index + 1}`
        const cluster = { name: 'carillon', port, routes }
        return startNats({ ...rest, dataDir: join(dataDir, serverName), serverName, cluster })
      }),
    )
    const nodes = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    const stop = async () => {
      await Promise.all(nodes.map((node) => node.stop()))
    }
    const failure = results.find((result) => result.status === 'rejected')
    try {
      if (failure) throw failure.reason
      await waitForLeader(nodes)
    } catch (error) {
      await stop()
      const again = error instanceof EngineFailed && error.portTaken && attempt < 4
      if (!again) throw error
      continue
    }
    return { nodes, urls: nodes.map((node) => node.url), stop, [Symbol.asyncDispose]: stop }
  }
}

async function waitForLeader(nodes: readonly NatsServer[]): Promise<void> {
  const giveUpAt = Date.now() + 30_000
  for (const node of nodes) {
    while (!(await followsLeader(node))) {
      if (Date.now() > giveUpAt)
        throw new EngineFailed('nats', 'cluster found no leader in 30 s', node.lastLines)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

async function followsLeader(node: NatsServer): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(2_000)
    const health = await fetch(`${node.monitorUrl}/healthz`, { signal })
    const state = await fetch(`${node.monitorUrl}/jsz`, { signal })
    const body: unknown = await state.json()
    return health.ok && hasLeader(body)
  } catch (error) {
    if (error instanceof TypeError || error instanceof DOMException) return false
    throw error
  }
}

function hasLeader(body: unknown): boolean {
  if (typeof body !== 'object' || body === null || !('meta_cluster' in body)) return false
  const meta = body.meta_cluster
  return typeof meta === 'object' && meta !== null && 'leader' in meta && Boolean(meta.leader)
}
