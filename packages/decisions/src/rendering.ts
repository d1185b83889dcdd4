import type { Context } from 'liquidjs'
import type { Formats, Reader } from './formats.js'
import type { IcuMessage } from './icu-messages.js'
import type { LocaleChains } from './locale-chains.js'
import { type Messages, NO_MESSAGES } from './messages.js'
import type { TextScope } from './text-scope.js'

/** What one compiler's texts share. */
export interface Shared {
  formats: Formats
  chains: LocaleChains
}

/** What filters and tags know of the text they stand in. Templates can't see it. */
export interface Rendering extends Shared {
  /** Where the text stands, like `content.title`. */
  field: string
  reader: Reader
  tenantLocale: string
  /** The locale that the text is written in; its plural rules hold. */
  textLocale: string
  /** ICU messages written in the text itself, by their source. */
  inline: ReadonlyMap<string, IcuMessage>
  messages: Messages
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
export function placeOf({ field, path }: Rendering): string {
  return path.length === 0 ? field : `${field}, in the partial ${path.map((name) => `"${name}"`).join(' > ')}`
}

/** Of a text in the tenant's locale and without messages. */
export function renderingFor(
  { user }: TextScope,
  about: Shared & { field: string; tenantLocale: string },
): Rendering {
  return {
    ...about,
    reader: { locale: user.locale, timezone: user.timezone },
    textLocale: about.tenantLocale,
    inline: new Map(),
    messages: NO_MESSAGES,
    path: [],
  }
}
