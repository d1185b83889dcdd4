import { eventually, NeverHappened } from './eventually.js'
import type { TestScope } from './scope.js'

const watched = ['TCPSocketWrap', 'TCPServerWrap', 'TLSWrap', 'ProcessWrap', 'Timeout']

/**
 * Call it first: when the test ends and all else is torn down, sockets, servers, child processes and timers that were
 * not there before fail it. Waits twenty seconds for those that are just closing.
 */
export function failOnLeaks(t: TestScope): void {
  const before = count()
  t.teardown(async () => {
    try {
      await eventually(() => leftOpen(before).length === 0, { timeoutMs: 20_000 })
    } catch (error) {
      if (!(error instanceof NeverHappened)) throw error
      throw new Error(`left open: ${leftOpen(before).join(', ')}`)
    }
  })
}

function leftOpen(before: ReadonlyMap<string, number>): string[] {
  // The look itself runs between two timers of eventually(), which are not active then.
  return [...count()].flatMap(([kind, now]) => {
    const more = now - (before.get(kind) ?? 0)
    return more > 0 ? [`${more} ${kind}`] : []
  })
}

function count(): Map<string, number> {
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) {
    if (watched.includes(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  return counts
}
