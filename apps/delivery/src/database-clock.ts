/** The time as the database tells it: what is booked, due or held is compared there, however wrong our own clock is. */
export interface DatabaseClock {
  /** Milliseconds. Our own time until the database was heard. */
  now(): number
  /** What its clock said a moment ago. */
  heard(moment: Date): void
}

export function createDatabaseClock(own: () => number): DatabaseClock {
  let aheadMs = 0
  return {
    now: () => own() + aheadMs,
    heard(moment) {
      aheadMs = moment.getTime() - own()
    },
  }
}
