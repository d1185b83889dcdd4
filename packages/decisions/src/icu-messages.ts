import {
  isArgumentElement,
  isDateElement,
  isLiteralElement,
  isNumberElement,
  isPluralElement,
  isSelectElement,
  isTimeElement,
  type MessageFormatElement,
  parse,
} from '@formatjs/icu-messageformat-parser'
import { formatToParts, IntlMessageFormat, MissingValueError, PART_TYPE } from 'intl-messageformat'
import { type Formats, momentOf, numberOf, type Reader, shown } from './formats.js'

/** An argument that a message needs and didn't get. */
export class MissingArgument extends Error {
  override readonly name = 'MissingArgument'
  readonly argument: string

  constructor(argument: string) {
    super(`needs ${argument}`)
    this.argument = argument
  }
}

export interface IcuFormatting {
  /** Whose plural rules hold: the locale that the message is written in. */
  locale: string
  /** How numbers and moments are written. */
  reader: Reader
  formats: Formats
  /** Told how many characters may come out, before they do; throws when that is too much. */
  spend(characters: number): void
}

/** A parsed ICU message. */
export interface IcuMessage {
  /** Names of all arguments, in every branch. */
  readonly names: ReadonlySet<string>
  /**
   * @throws MissingArgument for one that the chosen branch needs
   * @throws RangeError for one that isn't what it is used as
   */
  format(values: ReadonlyMap<string, unknown>, how: IcuFormatting): string
}

type Use = 'text' | 'number' | 'moment'

/** Named styles like `short` and `percent`. */
const STYLES = IntlMessageFormat.formats

/**
 * Parses a message like `{count, plural, one {# ride} other {# rides}}`. Tags are text like any other.
 * @throws Error when it can't be parsed, or names a style that there isn't
 */
export function compileMessage(source: string): IcuMessage {
  const elements = parse(source, { ignoreTag: true, requiresOtherClause: true, shouldParseSkeletons: true })
  const uses = new Map<string, Set<Use>>()
  const repeats = new Map<string, number>()
  for (const element of elementsOf(elements)) {
    if (!('value' in element) || isLiteralElement(element)) continue
    assertStyleKnown(element)
    const known = uses.get(element.value)
    if (known === undefined) uses.set(element.value, new Set([useOf(element)]))
    else known.add(useOf(element))
    repeats.set(element.value, (repeats.get(element.value) ?? 0) + 1)
  }
  return {
    names: new Set(uses.keys()),
    format(values, how) {
      const given: Record<string, string | number> = Object.create(null)
      let characters = source.length
      for (const [name, use] of uses) {
        const value = values.get(name)
        if (value === undefined || value === null) continue
        given[name] = valueAs(value, use, name)
        characters += String(value).length * (repeats.get(name) ?? 1)
      }
      how.spend(characters)
      try {
        return formatToParts<string>(elements, how.locale, formattersOf(how), STYLES, given)
          .map((part) => (part.type === PART_TYPE.literal ? part.value : ''))
          .join('')
      } catch (error) {
        if (error instanceof MissingValueError) throw new MissingArgument(missingOf(uses, given))
        throw error
      }
    },
  }
}

/** Numbers and moments as the reader writes them, plurals as the message's locale has them. */
function formattersOf({ formats, reader, locale }: IcuFormatting): Parameters<typeof formatToParts>[2] {
  return {
    getNumberFormat: (_locales, options) => formats.number(reader, options as Intl.NumberFormatOptions),
    getDateTimeFormat: (_locales, options) =>
      ({
        format: (value: unknown) =>
          formats.moment(reader, value, options ?? {}).format(momentOf(value, 'a message')),
      }) as Intl.DateTimeFormat,
    getPluralRules: (_locales, options) => formats.plural(locale, options ?? {}),
  }
}

function* elementsOf(elements: readonly MessageFormatElement[]): Generator<MessageFormatElement> {
  for (const element of elements) {
    yield element
    if (!isPluralElement(element) && !isSelectElement(element)) continue
    for (const option of Object.values(element.options)) yield* elementsOf(option.value)
  }
}

function useOf(element: MessageFormatElement): Use {
  if (isPluralElement(element) || isNumberElement(element)) return 'number'
  return isDateElement(element) || isTimeElement(element) ? 'moment' : 'text'
}

function assertStyleKnown(element: MessageFormatElement): void {
  if (isArgumentElement(element)) return
  const styles = isNumberElement(element)
    ? STYLES.number
    : isDateElement(element)
      ? STYLES.date
      : isTimeElement(element)
        ? STYLES.time
        : undefined
  const style = 'style' in element ? element.style : undefined
  if (styles === undefined || style === undefined || style === null) return
  if (typeof style === 'string' && !Object.hasOwn(styles, style)) {
    throw new Error(`there is no style "${style}"; it knows ${Object.keys(styles).join(', ')}`)
  }
  const options = typeof style === 'string' ? styles[style] : style.parsedOptions
  // what Intl doesn't know is told now, not when somebody should have been told something
  if (isNumberElement(element)) new Intl.NumberFormat('en', options as Intl.NumberFormatOptions)
  else new Intl.DateTimeFormat('en', options as Intl.DateTimeFormatOptions)
}

function valueAs(value: unknown, uses: ReadonlySet<Use>, name: string): string | number {
  if (uses.has('number')) return numberOf(value, name)
  if (uses.has('moment')) {
    momentOf(value, name)
    return value as string | number
  }
  if (typeof value === 'string' || typeof value === 'number') return value
  if (typeof value === 'boolean') return String(value)
  throw new RangeError(`${name} needs a text or a number, not ${shown(value)}`)
}

function missingOf(uses: ReadonlyMap<string, unknown>, given: object): string {
  return [...uses.keys()].filter((name) => !Object.hasOwn(given, name)).join(', ')
}
