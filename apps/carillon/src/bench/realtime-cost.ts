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

/** More than the largest young generation, in pieces that go there. */
const YOUNG_BYTES = 256 * 1024 * 1024
const PIECE = 8_192

/**
 * Of this process; needs `--expose-gc`. The young generation is filled once before, so that its pages are there for
 * nobody in particular, before clients come as after.
 */
export function ownMemory(): Memory {
  let last: unknown
  for (let bytes = 0; bytes < YOUNG_BYTES; bytes += PIECE * 8)
    last = new Array(PIECE).fill(last === undefined)
  globalThis.gc?.()
  globalThis.gc?.()
  const { rss, heapUsed, external } = process.memoryUsage()
  return { rss, held: heapUsed + external }
}
