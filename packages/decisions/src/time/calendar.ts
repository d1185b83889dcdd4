import { isOn, type LocalTime, minuteOf, type Weekday, weekdayOf } from './local-time.js'
import type { QuietWindow } from './quiet-window.js'
import { DAY_MS, isTimezone, Zone } from './zones.js'

/** How far ahead quiet windows chain on: one that covers every day of the week has no end. */
const MAX_QUIET_MS = 8 * DAY_MS
/** Spellings of zones that are kept, known or not: all IANA names and aliases are some 600. */
const MAX_ZONES = 2048
const UTC = 'UTC'

/** Local times, days and quiet hours in IANA zones. Same arguments, same answer; an unknown zone is UTC. */
export interface Calendar {
  /**
   * First moment (epoch ms) strictly after `now` at which it is that local time. Times that the clock skips give the first
   * moment after the gap, also when a zone left out a whole day; of those it goes through twice, the first counts. Throws
   * Error for what is no time of day or names no weekday.
   */
  next(time: LocalTime, timezone: string, now: number): number
  /**
   * When the quiet hours that contain `now` end (epoch ms), or undefined when `now` is outside every window. Windows that
   * touch or overlap chain on, at most 8 days from now. A window lasts from the first time it is `from` until the last time
   * it is `to`, so that the night when clocks go back has one quiet stretch. Throws Error for what is no time of day.
   */
  quietUntil(windows: readonly QuietWindow[], timezone: string, now: number): number | undefined
  /** Start (epoch ms) of the local calendar day that contains `now`: the window of caps per day. */
  startOfDay(timezone: string, now: number): number
  /** How a moment reads on the spot; `text` is like "07:00 (Europe/Vienna)". */
  local(timezone: string, now: number): { weekday: Weekday; time: string; date: string; text: string }
}

/** A calendar with its own bounded caches of zones and days. */
export function createCalendar(): Calendar {
  const zones = new Map<string, Zone>()
  const utc = new Zone(UTC)

  function zoneOf(timezone: string): Zone {
    const kept = zones.get(timezone)
    if (kept !== undefined) return kept
    const zone = isTimezone(timezone) ? new Zone(timezone) : utc
    if (zones.size >= MAX_ZONES) zones.clear()
    zones.set(timezone, zone)
    return zone
  }

  return {
    next: ({ at, days }, timezone, now) => nextMoment(zoneOf(timezone), { minute: minuteOf(at), days, now }),
    quietUntil(windows, timezone, now) {
      if (windows.length === 0) return undefined
      const zone = zoneOf(timezone)
      const limit = now + MAX_QUIET_MS
      let until = now
      for (;;) {
        const end = endOfWindow(zone, windows, until)
        if (end >= limit) return limit
        if (end <= until) return until > now ? until : undefined
        until = end
      }
    },
    startOfDay(timezone, now) {
      const zone = zoneOf(timezone)
      return zone.momentOf(dayOf(zone, now), 0, 'first')
    },
    local(timezone, now) {
      const zone = zoneOf(timezone)
      const localMs = now + zone.offsetAt(now)
      const [date, clock] = new Date(localMs).toISOString().split('T') as [string, string]
      const time = clock.slice(0, 5)
      return { weekday: weekdayOf(Math.floor(localMs / DAY_MS)), time, date, text: `${time} (${zone.name})` }
    },
  }
}

function dayOf(zone: Zone, moment: number): number {
  return Math.floor((moment + zone.offsetAt(moment)) / DAY_MS)
}

interface Asked {
  minute: number
  days: readonly Weekday[] | undefined
  now: number
}

function nextMoment(zone: Zone, { minute, days, now }: Asked): number {
  // What is asked for on earlier days has been; every weekday comes again within seven.
  const today = dayOf(zone, now)
  for (let day = today; day <= today + 7; day++) {
    if (!isOn(days, day)) continue
    const moment = zone.momentOf(day, minute, 'first')
    if (moment > now) return moment
  }
  throw new Error(`No weekday among ${JSON.stringify(days)}`)
}

/** Latest end of the windows that contain a moment, or the moment itself when none does. */
/**
 * Where a window ends: after the last moment at which the clock is still before that minute. An hour that comes twice
 * only counts twice when some of it is within the window, not when the window ends where it begins.
 */
function lastMomentBefore(zone: Zone, day: number, minute: number): number {
  const shown = zone.momentOf(day, minute, 'last')
  if (zone.isPlain(day)) return shown
  const before = minute === 0 ? zone.momentOf(day - 1, 1439, 'last') : zone.momentOf(day, minute - 1, 'last')
  return Math.min(shown, before + 60_000)
}

function endOfWindow(zone: Zone, windows: readonly QuietWindow[], moment: number): number {
  const today = dayOf(zone, moment)
  // A clock that goes back over midnight shows yesterday in a window that began today.
  const spread = zone.isPlain(today) ? 0 : 1
  let end = moment
  for (const { from, to, days } of windows) {
    const begins = minuteOf(from)
    const ends = minuteOf(to)
    const overnight = ends <= begins ? 1 : 0
    for (let day = today - overnight - spread; day <= today + spread; day++) {
      if (!isOn(days, day)) continue
      if (zone.momentOf(day, begins, 'first') > moment) continue
      end = Math.max(end, lastMomentBefore(zone, day + overnight, ends))
    }
  }
  return end
}
