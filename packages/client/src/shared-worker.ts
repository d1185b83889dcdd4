import { Host } from './host/host.js'
import { createMemory, NO_MEMORY } from './memory.js'
import { createDatabaseStorage } from './storage.js'
import { lockNames, whenGone } from './tabs/elected-place.js'
import { serveTab } from './tabs/wire.js'
import type { ToWorker, WorkerOptions } from './tabs/worker-place.js'

/** The worker's own scope; the types of pages don't know it. */
interface SharedScope {
  onconnect: ((event: MessageEvent) => void) | null
}

/** Runs in the worker that all tabs of a person share: one host for them. */
function serveTabs(scope: SharedScope): void {
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
      takesOver: false,
    })
  }
  scope.onconnect = ({ ports: [port] }) => {
    if (port === undefined) return
    let take: ReturnType<typeof serveTab> | undefined
    port.onmessage = ({ data }: MessageEvent<ToWorker>) => {
      if (data.kind === 'said') return take?.(data.message)
      host ??= hostFor(data.options)
      const here = host
      take = serveTab(here, data.tab, (message) => port.postMessage(message))
      whenGone(lockNames(data.options.group).tab(data.tab), new AbortController().signal, () =>
        here.detach(data.tab),
      )
    }
  }
}

serveTabs(globalThis as unknown as SharedScope)
