import { RenderError } from './errors.js'
import { compileMessage, type IcuMessage } from './icu-messages.js'
import { normalLocale, widened } from './locale-chains.js'

/** The ICU messages of one document in all its locales. */
export interface Messages {
  /**
   * The wording for a reader, and the locale it is written in (undefined: the tenant's).
   * @param chain the reader's locales, most exact first
   */
  find(key: string, chain: readonly string[]): { message: IcuMessage; locale: string | undefined } | undefined
  /** All wordings of a message. */
  wordings(key: string): readonly IcuMessage[]
  /** True when whoever reads a text written in `locale` has this message, whatever their own locale is. */
  isSureIn(locale: string | undefined, key: string): boolean
}

type Written = Readonly<Record<string, string>>

/**
 * Parses the messages of a document.
 * @param base for readers whose locales have none
 * @throws RenderError naming the message that can't be parsed
 */
export function compileMessages(
  base: Written | undefined,
  locales: Readonly<Record<string, Written | undefined>>,
  at: string,
): Messages {
  const compiled = new Map<string, ReadonlyMap<string, IcuMessage>>()
  for (const [locale, written] of Object.entries(locales)) {
    if (written !== undefined)
      compiled.set(normalLocale(locale), compileAll(written, `locales.${locale}.messages`))
  }
  const shared = compileAll(base ?? {}, `${at}.messages`)
  return {
    find(key, chain) {
      for (const locale of chain) {
        const message = compiled.get(locale)?.get(key)
        if (message !== undefined) return { message, locale }
      }
      const message = shared.get(key)
      return message === undefined ? undefined : { message, locale: undefined }
    },
    wordings: (key) =>
      [shared, ...compiled.values()].flatMap((messages) => {
        const message = messages.get(key)
        return message === undefined ? [] : [message]
      }),
    isSureIn: (locale, key) =>
      shared.has(key) || (locale !== undefined && widened(locale).some((tag) => compiled.get(tag)?.has(key))),
  }
}

function compileAll(written: Written, at: string): ReadonlyMap<string, IcuMessage> {
  const messages = new Map<string, IcuMessage>()
  for (const [key, source] of Object.entries(written)) {
    const field = `${at}.${key}`
    try {
      messages.set(key, compileMessage(source))
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new RenderError('TEMPLATE', field, `${field} is no ICU message: ${why}`, error)
    }
  }
  return messages
}

/** Of a text without messages. */
export const NO_MESSAGES: Messages = {
  find: () => undefined,
  wordings: () => [],
  isSureIn: () => false,
}
