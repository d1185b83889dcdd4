/** When a snoozed notification comes back. */
export interface SnoozeTimes {
  hour: Date
  /** 9:00 of the next day. */
  tomorrow: Date
  /** 9:00 of the next Monday. */
  week: Date
}

/** In the browser's time zone. */
export function snoozeTimes(now: number): SnoozeTimes {
  const morning = (days: number): Date => {
    const date = new Date(now)
    date.setDate(date.getDate() + days)
    date.setHours(9, 0, 0, 0)
    return date
  }
  const untilMonday = (8 - new Date(now).getDay()) % 7 || 7
  return { hour: new Date(now + 3_600_000), tomorrow: morning(1), week: morning(untilMonday) }
}
