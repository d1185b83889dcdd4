import type { Context, Liquid } from 'liquidjs'
import { RenderError } from './errors.js'
import { momentOf, numberOf, shown } from './formats.js'
import { type IcuMessage, MissingArgument } from './icu-messages.js'
import { placeOf, type Rendering, renderingOf } from './rendering.js'

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
/** Tags that would look for other documents, or lay out tables. `render` is ours, see partials.ts. */
const REFUSED_TAGS = ['include', 'render', 'layout', 'block', 'tablerow']

const STYLES = ['short', 'medium', 'long', 'full'] as const
type Style = (typeof STYLES)[number]

/** Leaves an engine with the offered filters and tags, and ours: for the reader's numbers and moments, and for messages. */
export function restrict(engine: Liquid): void {
  for (const name of Object.keys(engine.filters)) {
    if (!OFFERED.has(name)) engine.unregisterFilter(name)
  }
  for (const name of REFUSED_TAGS) delete engine.tags[name]
  addReaderFilters(engine)
  addMessageFilters(engine)
}

function addReaderFilters(engine: Liquid): void {
  engine.registerFilter('money', function (amount: unknown, currency: unknown) {
    if (typeof currency !== 'string' || !/^[A-Z]{3}$/.test(currency)) {
      throw new RangeError(`money needs a currency of three capital letters, not ${shown(currency)}`)
    }
    const { text, reader } = renderingOf(this.context)
    return text.shared.formats
      .number(reader, { style: 'currency', currency })
      .format(numberOf(amount, 'money'))
  })
  engine.registerFilter('number', function (amount: unknown) {
    const { text, reader } = renderingOf(this.context)
    return text.shared.formats.number(reader).format(numberOf(amount, 'number'))
  })
  for (const part of ['date', 'time'] as const) {
    engine.registerFilter(part, function (moment: unknown, style: unknown) {
      const { text, reader } = renderingOf(this.context)
      return text.shared.formats
        .moment(reader, moment, { [`${part}Style`]: styleOf(style, part) })
        .format(momentOf(moment, part))
    })
  }
}

/** Arguments arrive as pairs of name and value; text-checks.ts refuses any others. */
type Argument = readonly [string, unknown]

function addMessageFilters(engine: Liquid): void {
  engine.registerFilter('icu', function (source: unknown, ...given: Argument[]) {
    const rendering = renderingOf(this.context)
    const { inline, locale = rendering.tenantLocale } = rendering.text
    const message = inline.get(String(source)) as IcuMessage
    return format(message, { context: this.context, locale, given, named: 'A message' })
  })
  engine.registerFilter('t', function (key: unknown, ...given: Argument[]) {
    const rendering = renderingOf(this.context)
    const { shared, messages } = rendering.text
    const chain = shared.chains(rendering.reader.locale, rendering.tenantLocale)
    const found = typeof key === 'string' ? messages.find(key, chain) : undefined
    if (found === undefined) throw unknownMessage(rendering, key)
    const { message, locale = rendering.tenantLocale } = found
    return format(message, { context: this.context, locale, given, named: `The message "${key}"` })
  })
}

function format(
  message: IcuMessage,
  what: { context: Context; locale: string; given: readonly Argument[]; named: string },
): string {
  const { context, locale, given, named } = what
  const rendering = renderingOf(context)
  try {
    return message.format(new Map(given), {
      locale,
      reader: rendering.reader,
      formats: rendering.text.shared.formats,
      spend: (characters) => context.memoryLimit.use(characters),
    })
  } catch (error) {
    if (!(error instanceof MissingArgument)) throw error
    throw new RenderError(
      'VARIABLE_MISSING',
      rendering.text.field,
      `${placeOf(rendering)}: ${named} needs ${error.argument}, which it isn't given.`,
      error,
    )
  }
}

function unknownMessage(rendering: Rendering, key: unknown): RenderError {
  return new RenderError(
    'TEMPLATE',
    rendering.text.field,
    `${placeOf(rendering)}: there is no message ${shown(key)}.`,
  )
}

function styleOf(style: unknown, part: 'date' | 'time'): Style {
  if (style === undefined) return part === 'date' ? 'medium' : 'short'
  if ((STYLES as readonly unknown[]).includes(style)) return style as Style
  throw new RangeError(`${part} knows the styles ${STYLES.join(', ')}, not ${shown(style)}`)
}
