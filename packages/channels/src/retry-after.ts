const MAX_MS = 86_400_000

/** Milliseconds of a Retry-After header (seconds or an HTTP date), at most a day; undefined when absent or odd. */
export function retryAfterMs(header: string | string[] | undefined, nowMs: number): number | undefined {
  const text = (Array.isArray(header) ? header[0] : header)?.trim()
  if (!text) return undefined
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs
  return Number.isFinite(ms) ? Math.min(Math.max(0, ms), MAX_MS) : undefined
}
