import { isTimezone } from '@carillon/decisions'
import { HttpProblem } from '@carillon/service'

/**
 * Only what quiet hours and schedules can be judged in: anything else would silently be UTC there.
 *
 * @throws HttpProblem 400
 */
export function assertTimezone(timezone: string | null | undefined): void {
  if (timezone === undefined || timezone === null || isTimezone(timezone)) return
  throw new HttpProblem(
    400,
    'VALIDATION',
    `"${timezone}" is not a time zone; write one like Europe/Vienna.`,
    {
      field: 'timezone',
    },
  )
}
