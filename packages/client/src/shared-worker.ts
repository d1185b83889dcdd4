import { Host } from './host/host.js'
import { createMemory, NO_MEMORY } from './memory.js'
import { createDatabaseStorage } from './storage.js'
import { hold, lockNames, whenGone } from './tabs/elected-place.js'
import { serveTab } from './tabs/wire.js'
import type { ToWorker, WorkerOptions } from './tabs/worker-place.js'

/** The worker's own scope; the types of pages don't know it. */
interface SharedScope {
  onconnect: ((event: MessageEvent) => void) | null
}

/** Runs in the worker that all tabs of a person share: one host for them. */
function serveTabs(scope: SharedScope): void {
  const lock = `carillon.worker.${crypto.randomUUID()}`
  const forEver = new AbortController().signal
  const held = new Promise<void>((resolve) => hold(lock, forEver, resolve))
  let host: Host | undefined
  const hostFor = (options: WorkerOptions): Host => {
    const storage = options.keeps ? createDatabaseStorage() : undefined
    const { url, transports, pageSize } = options
    return new Host({
      url,
      transports,
      pageSize,
      WebSocket: undefined,
      EventSource: undefined,
      fetch: (input, init) => fetch(input, init),
      now: Date.now,
      memory: storage === undefined ? NO_MEMORY : createMemory(storage, options.group),
      takesOver: options.takesOver,
    })
  }
  scope.onconnect = ({ ports: [port] }) => {
    if (port === undefined) return
    let take: ReturnType<typeof serveTab> | undefined
    port.onmessage = async ({ data }: MessageEvent<ToWorker>) => {
      // else a tab could have the lock that says whether this worker lives
      await held
      if (data.kind === 'said') {
        take?.(data.message)
        return
      }
      host ??= hostFor(data.options)
      const here = host
      const { tab } = data
      take = serveTab(here, tab, (message) => port.postMessage(message), lock)
      whenGone(lockNames(data.options.group).tab(tab), forEver, () => here.detach(tab))
    }
  }
}

serveTabs(globalThis as unknown as SharedScope)
