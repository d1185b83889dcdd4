import { ar } from './ar.js'
import { de } from './de.js'
import { en } from './en.js'
import { es } from './es.js'
import { fr } from './fr.js'
import type { Messages, PluralForms } from './messages.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
/** Older than that, the date says more than the distance. */
const RELATIVE_FOR = 7 * DAY

/** Words, numbers and times of one language. */
export interface Text {
  locale: string
  dir: 'ltr' | 'rtl'
  messages: Messages
  /** Puts values into `{…}`. */
  fill(template: string, values: Readonly<Record<string, string>>): string
  /** The form of the language for a number, with the number in it. */
  plural(forms: PluralForms, count: number): string
  number(value: number): string
  /** How long ago, in words; a date after a week. What lies ahead is now. */
  ago(at: Date, now: number): string
  /** Date and time to the minute. */
  full(at: Date): string
  /** Time, with the day of the week unless it is today. */
  soon(at: Date, now: number): string
}

/** Texts of the locale's language, English for languages there are none of, with your own in their places. */
export function createText(locale: string, own: Partial<Messages> = {}): Text {
  const known = supported(locale)
  const rules = new Intl.PluralRules(known)
  const numbers = new Intl.NumberFormat(known)
  const distance = new Intl.RelativeTimeFormat(known, { numeric: 'auto', style: 'short' })
  const thisYear = new Intl.DateTimeFormat(known, { day: 'numeric', month: 'short' })
  const anyYear = new Intl.DateTimeFormat(known, { dateStyle: 'medium' })
  const full = new Intl.DateTimeFormat(known, { dateStyle: 'full', timeStyle: 'short' })
  const clock = new Intl.DateTimeFormat(known, { timeStyle: 'short' })
  const weekday = new Intl.DateTimeFormat(known, { weekday: 'short', hour: 'numeric', minute: '2-digit' })
  const fill: Text['fill'] = (template, values) =>
    template.replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole)
  return {
    locale: known,
    dir: isRightToLeft(known) ? 'rtl' : 'ltr',
    messages: { ...messagesOf(known), ...own },
    fill,
    plural: (forms, count) =>
      fill(forms[rules.select(count)] ?? forms.other, { count: numbers.format(count) }),
    number: (value) => numbers.format(value),
    ago(at, now) {
      const age = Math.max(0, now - at.getTime())
      if (age < MINUTE) return distance.format(0, 'second')
      if (age < HOUR) return distance.format(-Math.floor(age / MINUTE), 'minute')
      if (age < DAY) return distance.format(-Math.floor(age / HOUR), 'hour')
      if (age < RELATIVE_FOR) return distance.format(-Math.floor(age / DAY), 'day')
      return (at.getFullYear() === new Date(now).getFullYear() ? thisYear : anyYear).format(at)
    },
    full: (at) => full.format(at),
    soon: (at, now) => (at.toDateString() === new Date(now).toDateString() ? clock : weekday).format(at),
  }
}

function messagesOf(locale: string): Messages {
  const language = locale.toLowerCase().split('-')[0] ?? ''
  const all: Readonly<Record<string, Messages>> = { en, de, fr, es, ar }
  return all[language] ?? en
}

function supported(locale: string): string {
  try {
    return Intl.DateTimeFormat.supportedLocalesOf(locale)[0] ?? 'en'
  } catch {
    // not a language tag
    return 'en'
  }
}

function isRightToLeft(locale: string): boolean {
  return /^(ar|ckb|dv|fa|he|ps|sd|ug|ur|yi)(-|$)/i.test(locale)
}
