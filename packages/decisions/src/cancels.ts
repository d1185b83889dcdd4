/** Without a time on the event, a cancel still catches what is first seen this much later. */
const OVERTAKEN_MS = 10 * 60_000
/** A publisher's clock may be ahead by so much; a time further in the future says nothing. */
const CLOCK_SKEW_MS = 5 * 60_000

/**
 * Whether a cancel holds for a run of its key, in whatever order the two arrived. An event that happened before the
 * cancel is cancelled, even when it comes later; one that happened after it begins anew. Moments in milliseconds.
 * @param run when the event was first seen, and the event's own `time`, if it has one
 */
export function isCancelledBy(
  cancelledAt: number,
  run: { firstSeenMs: number; time: string | null | undefined },
): boolean {
  if (run.firstSeenMs <= cancelledAt) return true
  const happened = run.time == null ? Number.NaN : Date.parse(run.time)
  if (Number.isNaN(happened) || happened > run.firstSeenMs + CLOCK_SKEW_MS)
    return run.firstSeenMs <= cancelledAt + OVERTAKEN_MS
  return happened <= cancelledAt
}
