import fc from 'fast-check'
import t from 'tap'
import { createCalendar, type LocalTime, type QuietWindow, type Weekday } from '../index.js'

// The oracle walks minute by minute and reads each from the platform's formatter: no arithmetic with offsets, no library.
const MINUTE = 60_000
const DAY = 1440
const calendar = createCalendar()
const formatters = new Map<string, Intl.DateTimeFormat>()
const read = { minutes: 0 }
/** Cases are multiplied by it: set it to look longer. */
const MORE = Number(process.env.CASES_TIMES ?? 1)

/** The wall clock of a minute (both counted from 1970), as minutes from 1970 on that clock. */
function wallClock(zone: string, minute: number): number {
  let formatter = formatters.get(zone)
  if (formatter === undefined) {
    formatter = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'short' })
    formatters.set(zone, formatter)
  }
  read.minutes++
  return Date.parse(`${formatter.format(minute * MINUTE).replace(' ', 'T')}Z`) / MINUTE
}

const weekday = (day: number) =>
  (['thu', 'fri', 'sat', 'sun', 'mon', 'tue', 'wed'] as const)[day % 7] as Weekday
const isOn = (days: readonly Weekday[] | undefined, day: number) => days?.includes(weekday(day)) ?? true
const minuteOf = (text: string) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3))
const textOf = (minute: number) =>
  `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`

/** First minute after now at which the clock reaches, for the first time, that time on one of its days. */
function nextByWalking({ at, days }: LocalTime, zone: string, now: number): number {
  const start = Math.floor(now / MINUTE)
  let reached = Number.NEGATIVE_INFINITY
  for (let minute = start - 27 * 60; minute < start + 10 * DAY; minute++) {
    const clock = wallClock(zone, minute)
    if (minute > start && clock > reached) {
      for (let day = Math.floor(reached / DAY); day <= Math.floor(clock / DAY); day++) {
        const asked = day * DAY + minuteOf(at)
        if (asked > reached && asked <= clock && isOn(days, day)) return minute * MINUTE
      }
    }
    reached = Math.max(reached, clock)
  }
  throw new Error('not within ten days')
}

/** First minute outside of every window, from now on; undefined when that is now itself. */
function quietByWalking(windows: readonly QuietWindow[], zone: string, now: number): number | undefined {
  const first = Math.floor(now / MINUTE) - 51 * 60
  const clocks: number[] = []
  const clockAt = (index: number) => {
    while (clocks.length <= index) clocks.push(wallClock(zone, first + clocks.length))
    return clocks[index] as number
  }
  const isQuiet = (index: number): boolean => {
    // Begun: the clock has shown the beginning before. Not over: it is before the end, or will be again.
    let shown = Number.NEGATIVE_INFINITY
    for (let back = Math.max(0, index - 130); back <= index; back++) shown = Math.max(shown, clockAt(back))
    let shows = Number.POSITIVE_INFINITY
    for (let ahead = index; ahead <= index + 130; ahead++) shows = Math.min(shows, clockAt(ahead))
    const today = Math.floor(clockAt(index) / DAY)
    return windows.some(({ from, to, days }) => {
      const overnight = minuteOf(to) <= minuteOf(from) ? 1 : 0
      return [today - 2, today - 1, today, today + 1].some((day) => {
        const begins = day * DAY + minuteOf(from)
        const ends = (day + overnight) * DAY + minuteOf(to)
        return isOn(days, day) && begins <= shown && shows < ends
      })
    })
  }
  for (let index = 51 * 60; ; index++) {
    const moment = (first + index) * MINUTE
    if (moment >= now + 8 * DAY * MINUTE) return now + 8 * DAY * MINUTE
    if (!isQuiet(index)) return moment <= now ? undefined : moment
  }
}

interface Case {
  zone: string
  now: number
  time: LocalTime
  windows: readonly QuietWindow[]
}

const WEEK = 7 * DAY
/** First minute after a change of the clock in the year from a minute on. */
function changeAfter(zone: string, start: number): number | undefined {
  const shift = (minute: number) => wallClock(zone, minute) - minute
  let before = start
  while (before < start + 366 * DAY && shift(before) === shift(before + WEEK)) before += WEEK
  let after = before + WEEK
  if (shift(before) === shift(after)) return undefined
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2)
    if (shift(middle) === shift(before)) before = middle
    else after = middle
  }
  return after
}

/** Minutes of a day: two thirds of them within two hours of a change, when one is near. */
const anyTime = fc.record({
  free: fc.integer({ min: 0, max: DAY - 1 }),
  off: fc.integer({ min: -120, max: 120 }),
  isFree: fc.integer({ min: 0, max: 2 }).map((third) => third === 0),
})
const someDays = fc.subarray<Weekday>(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'], { minLength: 1 })
const anyDays = fc.option(someDays, { nil: undefined })
const anyCase: fc.Arbitrary<Case> = fc
  .record({
    zone: fc.constantFrom(...Intl.supportedValuesOf('timeZone')),
    moment: fc.integer({ min: Date.UTC(2000, 0, 2), max: Date.UTC(2060, 0, 1) }),
    near: fc.boolean(),
    off: fc.integer({ min: -2160, max: 2160 }),
    at: anyTime,
    days: anyDays,
    edges: fc.array(fc.record({ from: anyTime, to: anyTime, days: anyDays }), { minLength: 1, maxLength: 3 }),
  })
  .map(({ zone, moment, near, off, at, days, edges }) => {
    const change = near ? changeAfter(zone, Math.floor(moment / MINUTE)) : undefined
    const clock = change === undefined ? 0 : wallClock(zone, change)
    const text = ({ free, off, isFree }: typeof at) =>
      textOf(isFree || change === undefined ? free : (clock + off + DAY) % DAY)
    const on = (days: Weekday[] | undefined) => (days === undefined ? {} : { days })
    return {
      zone,
      now: change === undefined ? moment : (change + off) * MINUTE + (moment % MINUTE),
      time: { at: text(at), ...on(days) },
      windows: edges.map(({ from, to, days }) => ({ from: text(from), to: text(to), ...on(days) })),
    }
  })

type Tap = Pick<typeof t, 'comment' | 'pass'>
function holds(t: Tap, cases: number, check: (value: Case) => boolean | undefined) {
  fc.assert(fc.property(anyCase, check), { numRuns: cases * MORE })
  t.comment(`${cases * MORE} cases`)
  t.pass('holds for every case')
}

t.test(
  'the next local time is later, is that time or follows a gap, and is on one of its days',
  async (t) => {
    let gaps = 0
    holds(t, 2000, ({ zone, now, time }) => {
      const moment = calendar.next(time, zone, now)
      const there = calendar.local(zone, moment)
      if (moment <= now || moment % MINUTE !== 0 || moment > now + 9 * DAY * MINUTE) return false
      if (there.time === time.at && (time.days?.includes(there.weekday) ?? true)) return true
      gaps++
      // Just before, the clock was before that time on one of its days; now it is after it: it jumped.
      const before = wallClock(zone, moment / MINUTE - 1)
      const after = wallClock(zone, moment / MINUTE)
      for (let day = Math.floor(before / DAY); day <= Math.floor(after / DAY); day++) {
        const asked = day * DAY + minuteOf(time.at)
        if (isOn(time.days, day) && asked > before && asked < after) return true
      }
      return false
    })
    t.comment(`${gaps} of them in a gap`)
  },
)

t.test('the next local time is the first such moment', async (t) => {
  holds(t, 120, ({ zone, now, time }) => calendar.next(time, zone, now) === nextByWalking(time, zone, now))
})

t.test('quiet hours end at the first minute outside of every window', async (t) => {
  let quiet = 0
  holds(t, 120, ({ zone, now, windows }) => {
    const until = calendar.quietUntil(windows, zone, now)
    if (until !== undefined) quiet++
    return until === quietByWalking(windows, zone, now)
  })
  t.comment(`${quiet} of them quiet`)
})

t.test('a window that ends where the repeated hour begins ends before the hour is repeated', async (t) => {
  const until = (to: string, at: string) =>
    calendar.quietUntil([{ from: '00:00', to }], 'Europe/London', Date.parse(at))
  t.equal(until('01:00', '2009-10-25T00:59:00Z'), undefined)
  t.equal(until('01:00', '2009-10-24T23:30:00Z'), Date.parse('2009-10-25T00:00:00Z'))
  t.equal(until('01:30', '2009-10-25T00:59:00Z'), Date.parse('2009-10-25T01:30:00Z'))
  t.equal(until('02:00', '2009-10-25T00:59:00Z'), Date.parse('2009-10-25T02:00:00Z'))
})

t.test('it is quiet whenever the wall clock is within a window', async (t) => {
  let quiet = 0
  holds(t, 2000, ({ zone, now, windows }) => {
    const window = windows[0] as QuietWindow
    const clock = wallClock(zone, Math.floor(now / MINUTE))
    const [today, minute] = [Math.floor(clock / DAY), clock % DAY]
    const [from, to] = [minuteOf(window.from), minuteOf(window.to)]
    const since = minute >= from && (minute < to || to <= from) && isOn(window.days, today)
    const overnight = to <= from && minute < to && isOn(window.days, today - 1)
    if (!since && !overnight) return true
    quiet++
    return (calendar.quietUntil([window], zone, now) ?? 0) > now
  })
  t.comment(`${quiet} of them quiet`)
})

t.test('a day begins with its first minute, at or before now', async (t) => {
  holds(t, 1000, ({ zone, now }) => {
    const start = calendar.startOfDay(zone, now)
    const date = (moment: number) => calendar.local(zone, moment).date
    return start <= now && date(start) === date(now) && date(start - MINUTE) < date(start)
  })
})

t.test('what a clock reads agrees with the platform, and equal questions get equal answers', async (t) => {
  const ask = ({ zone, now, time, windows }: Case, by = calendar) => [
    by.next(time, zone, now),
    by.quietUntil(windows, zone, now),
    by.startOfDay(zone, now),
    by.local(zone, now),
  ]
  const asked: { value: Case; answers: unknown[] }[] = []
  holds(t, 1000, (value) => {
    const { zone, now } = value
    asked.push({ value, answers: ask(value) })
    const { date, time } = calendar.local(zone, now)
    return Date.parse(`${date}T${time}Z`) / MINUTE === wallClock(zone, Math.floor(now / MINUTE))
  })
  const other = createCalendar()
  const again = asked.reverse().slice(0, 300)
  t.strictSame(
    again.map(({ value }) => ask(value, other)),
    again.map(({ answers }) => answers),
    'from other caches, asked in the opposite order',
  )
  t.comment(`${read.minutes} minutes were read from the platform in all`)
})
