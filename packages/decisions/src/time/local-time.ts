/** In the order of `Date.getUTCDay`, from Sunday. */
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const
export type Weekday = (typeof WEEKDAYS)[number]

/** A wall-clock time "HH:MM" (00:00–23:59), on some days; no days means every day. */
export interface LocalTime {
  at: string
  days?: readonly Weekday[]
}

const CLOCK_TIME = /^([01][0-9]|2[0-3]):[0-5][0-9]$/
const ZERO = 48

/** Minutes since midnight of "HH:MM". Throws Error on anything else: what is stored was validated. */
export function minuteOf(clockTime: string): number {
  const hour = digitAt(clockTime, 0) * 10 + digitAt(clockTime, 1)
  const minute = digitAt(clockTime, 3) * 10 + digitAt(clockTime, 4)
  if (clockTime.length === 5 && clockTime[2] === ':' && hour < 24 && minute < 60) return hour * 60 + minute
  throw new Error(`Not a time of day: ${JSON.stringify(clockTime)}`)
}

/** NaN when there is none. By hand, as it runs for every judgement. */
function digitAt(text: string, index: number): number {
  const digit = text.charCodeAt(index) - ZERO
  return digit >= 0 && digit <= 9 ? digit : Number.NaN
}

/** Weekday of a calendar day counted from 1970-01-01. */
export function weekdayOf(day: number): Weekday {
  return WEEKDAYS[(((day + 4) % 7) + 7) % 7] as Weekday
}

/** Whether a list of days names that calendar day; no list, or an empty one, names all. */
export function isOn(days: readonly Weekday[] | undefined, day: number): boolean {
  return days === undefined || days.length === 0 || days.includes(weekdayOf(day))
}

/** What is wrong with a local time as it was written and how to mend it; undefined when it is right. */
export function localTimeProblem(time: unknown): string | undefined {
  if (!isRecord(time)) return 'A local time is an object. Write {at: "09:00"}, and days if not every day.'
  return clockTimeProblem('at', time.at) ?? daysProblem(time.days)
}

/** The same for one time of day, by the name it was written under. */
export function clockTimeProblem(name: string, value: unknown): string | undefined {
  if (typeof value === 'string' && CLOCK_TIME.test(value)) return undefined
  return `\`${name}\` is not a time of day. Write hours and minutes from 00:00 to 23:59, like "07:30".`
}

/** The same for a list of days. */
export function daysProblem(days: unknown): string | undefined {
  if (days === undefined) return undefined
  if (!Array.isArray(days) || days.length === 0) {
    return '`days` names no day. Write a list like [mon, tue], or leave it out for every day.'
  }
  const unknown = days.find((day) => !(WEEKDAYS as readonly unknown[]).includes(day))
  if (unknown === undefined) return undefined
  return `\`days\` has something that is no weekday. Use mon, tue, wed, thu, fri, sat and sun.`
}

/** Whether something is an object with names in it. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
