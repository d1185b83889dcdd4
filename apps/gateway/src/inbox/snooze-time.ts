import { HttpProblem } from '@carillon/service'

/** The same day next year is still allowed. */
const LONGEST_MS = 366 * 24 * 60 * 60 * 1000

/**
 * The time until which something is put off, as RFC 3339. `field` names it in the answer.
 * @throws HttpProblem 400 `SNOOZE_INVALID` when it is no time, has passed, or is over a year ahead
 */
export function snoozeTime(until: string, nowMs: number): Date {
  const time = new Date(until)
  const aheadMs = time.getTime() - nowMs
  if (!(aheadMs > 0 && aheadMs <= LONGEST_MS)) {
    throw new HttpProblem(400, 'SNOOZE_INVALID', '`until` must lie ahead, at most a year.', {
      field: 'until',
    })
  }
  return time
}
