const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/
const SIZE = /^(\d+(?:\.\d+)?)(B|KiB|MiB|GiB|TiB)$/
const MILLIS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const BYTES: Record<string, number> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 }

/** "72h" as nanoseconds, the server's unit; undefined when it is not a duration. */
export function durationToNanos(text: unknown): number | undefined {
  const match = typeof text === 'string' ? DURATION.exec(text) : null
  return match === null ? undefined : Math.round(Number(match[1]) * (MILLIS[match[2] ?? ''] ?? 0) * 1_000_000)
}

/** "20GiB" as bytes; undefined when it is not a size. */
export function sizeToBytes(text: unknown): number | undefined {
  const match = typeof text === 'string' ? SIZE.exec(text) : null
  return match === null ? undefined : Math.round(Number(match[1]) * (BYTES[match[2] ?? ''] ?? 0))
}
