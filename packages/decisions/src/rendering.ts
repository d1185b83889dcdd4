import type { Context } from 'liquidjs'
import type { Formats, Reader } from './formats.js'
import type { IcuMessage } from './icu-messages.js'
import type { LocaleChains } from './locale-chains.js'
import type { Messages } from './messages.js'
import type { TextScope } from './text-scope.js'

/** What one compiler's texts share. */
export interface Shared {
  formats: Formats
  chains: LocaleChains
}

/** What filters and tags know of the text they stand in, whoever reads it. */
export interface TextFacts {
  shared: Shared
  /** Where the text stands, like `content.title`. */
  field: string
  /** The locale that the text is written in, whose plural rules hold; undefined: the tenant's. */
  locale: string | undefined
  /** ICU messages written in the text itself, by their source. */
  inline: ReadonlyMap<string, IcuMessage>
  messages: Messages
}

/** One rendering of a text for a reader. Templates can't see it. */
export interface Rendering {
  text: TextFacts
  reader: Reader
  tenantLocale: string
  /** Partials being rendered, outermost first. One list a rendering: after an error it tells where that was. */
  path: string[]
}

/** A symbol: no name in a template reaches it. */
const RENDERING = Symbol('rendering')

export function globalsFor(rendering: Rendering): Record<string, unknown> {
  return { [RENDERING]: rendering } as Record<string, unknown>
}

export function renderingOf(context: Context): Rendering {
  return (context.globals as { [RENDERING]?: Rendering })[RENDERING] as Rendering
}

/** Where the rendering is, in words. */
export function placeOf({ text, path }: Rendering): string {
  if (path.length === 0) return text.field
  return `${text.field}, in the partial ${path.map((name) => `"${name}"`).join(' > ')}`
}

export function renderingFor({ user }: TextScope, text: TextFacts, tenantLocale: string): Rendering {
  return { text, reader: { locale: user.locale, timezone: user.timezone }, tenantLocale, path: [] }
}
