/** Formats kept; locales and currencies come from data, so they need a bound. */
const MAX_FORMATS = 500

const MOMENT = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2}))?$/

/** Who reads a text: how numbers and moments in it are written. */
export interface Reader {
  locale: string
  timezone: string | null
}

/** Ways of writing for a locale and a zone, made once each and kept within a bound. */
export interface Formats {
  number(reader: Reader, options?: Intl.NumberFormatOptions): Intl.NumberFormat
  /** A date without a time has no zone: it reads the same everywhere. */
  moment(reader: Reader, value: unknown, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat
  plural(locale: string, options: Intl.PluralRulesOptions): Intl.PluralRules
}

type Kept = Intl.NumberFormat | Intl.DateTimeFormat | Intl.PluralRules

export function createFormats(): Formats {
  const kept = new Map<string, Kept>()
  const keep = <F extends Kept>(name: string, make: () => F): F => {
    const known = kept.get(name)
    if (known !== undefined) return known as F
    if (kept.size >= MAX_FORMATS) kept.clear()
    const made = make()
    kept.set(name, made)
    return made
  }
  return {
    number: ({ locale }, options) =>
      keep(
        `number ${locale} ${options === undefined ? '' : JSON.stringify(options)}`,
        () => new Intl.NumberFormat(known(locale), options),
      ),
    moment({ locale, timezone }, value, options) {
      const dateOnly = typeof value === 'string' && value.length === 10
      const zone = dateOnly ? 'UTC' : (timezone ?? 'UTC')
      return keep(
        `moment ${locale} ${zone} ${JSON.stringify(options)}`,
        () => new Intl.DateTimeFormat(known(locale), { ...options, timeZone: knownZone(zone) }),
      )
    },
    plural: (locale, options) =>
      keep(`plural ${locale} ${options.type ?? ''}`, () => new Intl.PluralRules(known(locale), options)),
  }
}

/** A person's locale is what an app once sent; one that isn't a locale must not keep the text from them. */
function known(locale: string): string {
  try {
    return Intl.NumberFormat.supportedLocalesOf(locale)[0] ?? 'en'
  } catch {
    return 'en'
  }
}

function knownZone(timezone: string): string {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: timezone }).resolvedOptions().timeZone
  } catch {
    return 'UTC'
  }
}

/**
 * @param needs what asks for it, as its author calls it
 * @throws RangeError
 */
export function numberOf(value: unknown, needs: string): number {
  const amount = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof amount !== 'number' || !Number.isFinite(amount)) {
    throw new RangeError(`${needs} needs a number, not ${shown(value)}`)
  }
  return amount
}

/**
 * An RFC 3339 moment with its zone, a date, or milliseconds: nothing whose meaning depends on where this runs.
 * @throws RangeError
 */
export function momentOf(value: unknown, needs: string): Date {
  const moment =
    typeof value === 'number' || (typeof value === 'string' && MOMENT.test(value))
      ? new Date(value)
      : undefined
  if (moment === undefined || Number.isNaN(moment.getTime())) {
    throw new RangeError(
      `${needs} needs an RFC 3339 moment with its zone or milliseconds, not ${shown(value)}`,
    )
  }
  return moment
}

/** A value as an error tells it, short. */
export function shown(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 64) ?? 'nothing'
}
