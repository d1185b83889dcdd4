/** What a measured process holds after garbage was collected, bytes. */
export interface Memory {
  rss: number
  /** In V8's heap, and beside it in buffers. */
  held: number
}

/** CPU microseconds of this process so far. */
export function ownCpu(): { cpuMicros: number } {
  const { user, system } = process.cpuUsage()
  return { cpuMicros: user + system }
}

/** Of this process; needs `--expose-gc`. */
export function ownMemory(): Memory {
  globalThis.gc?.()
  globalThis.gc?.()
  const { rss, heapUsed, external } = process.memoryUsage()
  return { rss, held: heapUsed + external }
}
