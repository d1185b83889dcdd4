import { Temporal } from 'temporal-polyfill'

export const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
/** Looked at on either side of a day: zones lie within 16 h of UTC, the rest sees a change in the hours next to the day. */
const MARGIN_MS = 26 * HOUR_MS
const SAMPLE_MS = 6 * HOUR_MS
const MAX_NAME_LENGTH = 64

/** A stretch of time with one offset from UTC; it ends where the next begins. */
interface Span {
  from: number
  offsetMs: number
}

/** `first` and `last` differ when the clock goes through that time twice. */
type Occurrence = 'first' | 'last'

/** A transition is in or near that calendar day: offsets are looked up, local times resolved by Temporal and kept. */
interface Change {
  spans: readonly Span[]
  resolved: Map<string, number>
}

/** A calendar day in a zone. Without a change in or near it one offset holds throughout, so arithmetic is exact. */
interface ZoneDay {
  offsetMs: number
  change: Change | undefined
}

/** Days of one zone that are kept; judgements cluster around now and the next days. */
const MAX_DAYS = 256

/** One IANA zone. Days count from 1970-01-01. */
export class Zone {
  readonly name: string
  readonly #days = new Map<number, ZoneDay>()

  constructor(name: string) {
    this.name = name
  }

  /** Local milliseconds minus UTC milliseconds at a moment. */
  offsetAt(moment: number): number {
    const { offsetMs, change } = this.#day(Math.floor(moment / DAY_MS))
    if (change === undefined) return offsetMs
    return change.spans.findLast(({ from }) => from <= moment)?.offsetMs ?? offsetMs
  }

  /** Whether no transition is in or within ten hours of that calendar day. */
  isPlain(day: number): boolean {
    return this.#day(day).change === undefined
  }

  /** When it is that minute of that calendar day; for times that the clock skips, the first moment after the gap. */
  momentOf(day: number, minute: number, occurrence: Occurrence): number {
    const { offsetMs, change } = this.#day(day)
    const localMs = day * DAY_MS + minute * 60_000
    if (change === undefined) return localMs - offsetMs
    const key = `${minute} ${occurrence}`
    let moment = change.resolved.get(key)
    if (moment === undefined) {
      moment = resolve(this.name, localMs, occurrence)
      change.resolved.set(key, moment)
    }
    return moment
  }

  #day(day: number): ZoneDay {
    const kept = this.#days.get(day)
    if (kept !== undefined) return kept
    const zoneDay = readDay(this.name, day)
    if (this.#days.size >= MAX_DAYS) this.#days.clear()
    this.#days.set(day, zoneDay)
    return zoneDay
  }
}

/** True for an IANA name this platform knows. */
export function isTimezone(name: string): boolean {
  // Offsets like +02:00 are zones to some platforms and not to others.
  if (name.length > MAX_NAME_LENGTH || !/^[A-Za-z]/.test(name)) return false
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}

/** Offsets over every moment that can be of that UTC or local day. Two transitions within six hours would go unseen; none are known. */
function readDay(zone: string, day: number): ZoneDay {
  const from = day * DAY_MS - MARGIN_MS
  const until = (day + 1) * DAY_MS + MARGIN_MS
  const spans: Span[] = [{ from, offsetMs: offsetOf(zone, from) }]
  let before = spans[0] as Span
  for (let at = from + SAMPLE_MS; at < until + SAMPLE_MS; at += SAMPLE_MS) {
    const offsetMs = offsetOf(zone, at)
    if (offsetMs === before.offsetMs) continue
    before = { from: transitionAfter(zone, at - SAMPLE_MS, at), offsetMs }
    spans.push(before)
  }
  const { offsetMs } = spans[0] as Span
  return { offsetMs, change: spans.length === 1 ? undefined : { spans, resolved: new Map() } }
}

function offsetOf(zone: string, moment: number): number {
  return Temporal.Instant.fromEpochMilliseconds(moment).toZonedDateTimeISO(zone).offsetNanoseconds / 1e6
}

/** First moment after which the offset is the one of `until`; exact to the second, as transitions are. */
function transitionAfter(zone: string, from: number, until: number): number {
  const offsetMs = offsetOf(zone, until)
  let [before, after] = [from / 1000, until / 1000]
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2)
    if (offsetOf(zone, middle * 1000) === offsetMs) after = middle
    else before = middle
  }
  return after * 1000
}

function resolve(zone: string, localMs: number, occurrence: Occurrence): number {
  const local = Temporal.PlainDateTime.from(new Date(localMs).toISOString().slice(0, -1))
  const zoned = (disambiguation: 'earlier' | 'later') => local.toZonedDateTime(zone, { disambiguation })
  const earlier = zoned('earlier')
  const later = zoned('later')
  // Temporal moves a skipped time by the length of the gap, to either side of it; the gap's end lies between.
  if (!earlier.toPlainDateTime().equals(local)) {
    return transitionAfter(zone, earlier.epochMilliseconds, later.epochMilliseconds)
  }
  return (occurrence === 'first' ? earlier : later).epochMilliseconds
}
