import type { Liquid } from 'liquidjs'

/**
 * The filters that texts may use, by name. What is left out either asks the clock or chance (`date` of "now", `sample`),
 * evaluates text (`where_exp` and its family) or hashes and encodes, which no text for people needs.
 */
const OFFERED = new Set(
  (
    'abs append at_least at_most capitalize ceil compact concat default divided_by downcase escape escape_once first floor ' +
    'join json last lstrip map minus modulo newline_to_br plus prepend raw remove remove_first replace replace_first ' +
    'reverse round rstrip size slice sort sort_natural split squish strip strip_newlines sum times truncate ' +
    'truncatewords uniq upcase uri_escape url_encode where'
  ).split(' '),
)
/** Tags that would look for other documents, or lay out tables. */
const REFUSED_TAGS = ['include', 'render', 'layout', 'block', 'tablerow']

/** Formats kept; locales and currencies come from data, so they need a bound. */
const MAX_FORMATS = 500

const MOMENT = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2}))?$/
const STYLES = ['short', 'medium', 'long', 'full'] as const
type Style = (typeof STYLES)[number]

/** Leaves an engine with the offered filters and tags, and ours: `money`, `number`, `date`, `time` for the reader. */
export function restrict(engine: Liquid): void {
  for (const name of Object.keys(engine.filters)) {
    if (!OFFERED.has(name)) engine.unregisterFilter(name)
  }
  for (const name of REFUSED_TAGS) delete engine.tags[name]
  const formats = createFormats()
  engine.registerFilter('money', function (amount: unknown, currency: unknown) {
    if (typeof currency !== 'string' || !/^[A-Z]{3}$/.test(currency)) {
      throw new RangeError(`money needs a currency of three capital letters, not ${shown(currency)}`)
    }
    return formats.money(this.context.getSync(['user', 'locale']), currency).format(numberOf(amount, 'money'))
  })
  engine.registerFilter('number', function (amount: unknown) {
    return formats.number(this.context.getSync(['user', 'locale'])).format(numberOf(amount, 'number'))
  })
  for (const part of ['date', 'time'] as const) {
    engine.registerFilter(part, function (moment: unknown, style: unknown) {
      const user = this.context.getSync(['user']) as { locale: string; timezone?: string }
      const dateOnly = typeof moment === 'string' && moment.length === 10
      return formats
        .moment(user.locale, dateOnly ? 'UTC' : (user.timezone ?? 'UTC'), part, styleOf(style, part))
        .format(momentOf(moment, part))
    })
  }
}

function createFormats() {
  const kept = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat>()
  const keep = <F extends Intl.NumberFormat | Intl.DateTimeFormat>(name: string, make: () => F): F => {
    const known = kept.get(name)
    if (known !== undefined) return known as F
    if (kept.size >= MAX_FORMATS) kept.clear()
    const made = make()
    kept.set(name, made)
    return made
  }
  return {
    money: (locale: unknown, currency: string) =>
      keep(
        `money ${locale} ${currency}`,
        () => new Intl.NumberFormat(known(locale), { style: 'currency', currency }),
      ),
    number: (locale: unknown) => keep(`number ${locale}`, () => new Intl.NumberFormat(known(locale))),
    moment: (locale: string, timezone: string, part: 'date' | 'time', style: Style) =>
      keep(`${part} ${style} ${locale} ${timezone}`, () => {
        const options = { [`${part}Style`]: style } as Intl.DateTimeFormatOptions
        return new Intl.DateTimeFormat(known(locale), { ...options, timeZone: zone(timezone) })
      }),
  }
}

/** A person's locale is what an app once sent; one that isn't a locale must not keep the text from them. */
function known(locale: unknown): string {
  try {
    return Intl.NumberFormat.supportedLocalesOf(String(locale))[0] ?? 'en'
  } catch {
    return 'en'
  }
}

function zone(timezone: string): string {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: timezone }).resolvedOptions().timeZone
  } catch {
    return 'UTC'
  }
}

function numberOf(value: unknown, filter: string): number {
  const amount = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof amount !== 'number' || !Number.isFinite(amount)) {
    throw new RangeError(`${filter} needs a number, not ${shown(value)}`)
  }
  return amount
}

/** An RFC 3339 moment with its zone, a date, or milliseconds: nothing whose meaning depends on where this runs. */
function momentOf(value: unknown, filter: string): Date {
  const moment =
    typeof value === 'number' || (typeof value === 'string' && MOMENT.test(value))
      ? new Date(value)
      : undefined
  if (moment === undefined || Number.isNaN(moment.getTime())) {
    throw new RangeError(
      `${filter} needs an RFC 3339 moment with its zone or milliseconds, not ${shown(value)}`,
    )
  }
  return moment
}

function styleOf(style: unknown, part: 'date' | 'time'): Style {
  if (style === undefined) return part === 'date' ? 'medium' : 'short'
  if ((STYLES as readonly unknown[]).includes(style)) return style as Style
  throw new RangeError(`${part} knows the styles ${STYLES.join(', ')}, not ${shown(style)}`)
}

function shown(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 64) ?? 'nothing'
}
