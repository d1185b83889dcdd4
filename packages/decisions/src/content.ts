import type { Content } from '@carillon/contracts'
import type { Text, TextCompiler, TextScope } from './texts.js'

/** Rendered texts of one notification or one step. */
export interface RenderedContent {
  title?: string
  body?: string
  subject?: string
  html?: string
  url?: string
  imageUrl?: string
}

const FIELDS = ['title', 'body', 'subject', 'html', 'url', 'imageUrl'] as const

/** Compiled texts by locale. A locale holds only what it says itself; the rest falls back field by field. */
export interface LocalisedTexts {
  /** Which locales a reader's locale falls back through, most exact first. */
  render(scope: TextScope, tenantLocale: string): RenderedContent
  readonly isEmpty: boolean
}

type Texts = Partial<Record<(typeof FIELDS)[number], Text>>

/**
 * Compiles one content document. Fallback for a reader with `de-AT`: `de-AT`, `de`, the tenant's locale, its language,
 * then the default content.
 * @throws RenderError when a template's syntax is wrong
 */
export function compileContent(
  compiler: TextCompiler,
  content: Content | undefined,
  locales: Readonly<Record<string, Content>> | undefined,
  at: string,
): LocalisedTexts {
  const base = compileTexts(compiler, content ?? {}, at)
  const byLocale = new Map<string, Texts>()
  for (const [locale, texts] of Object.entries(locales ?? {})) {
    byLocale.set(locale.toLowerCase(), compileTexts(compiler, texts, `locales.${locale}`))
  }
  const chains = new Map<string, Texts>()
  const chainOf = (locale: string, tenantLocale: string): Texts => {
    const name = `${locale} ${tenantLocale}`
    let merged = chains.get(name)
    if (merged === undefined) {
      merged = { ...base }
      for (const step of [...fallbacks(locale, tenantLocale)].reverse())
        Object.assign(merged, byLocale.get(step))
      // bounded by the locales there are times the tenants' default; a stranger's locales fall together
      if (chains.size < 1_000) chains.set(name, merged)
    }
    return merged
  }
  return {
    isEmpty: Object.keys(base).length === 0 && byLocale.size === 0,
    render(scope, tenantLocale) {
      const texts = byLocale.size === 0 ? base : chainOf(scope.user.locale, tenantLocale)
      const rendered: RenderedContent = {}
      for (const field of FIELDS) {
        const text = texts[field]
        if (text !== undefined) rendered[field] = text.render(scope)
      }
      return rendered
    },
  }
}

function compileTexts(compiler: TextCompiler, content: Content, at: string): Texts {
  const texts: Texts = {}
  for (const field of FIELDS) {
    const source = content[field]
    if (source !== undefined)
      texts[field] = compiler.compile(source, `${at}.${field}`, { html: field === 'html' })
  }
  return texts
}

/** `de-AT` with a tenant of `en-GB`: de-at, de, en-gb, en. */
export function fallbacks(locale: string, tenantLocale: string): string[] {
  const chain: string[] = []
  for (const tag of [locale, tenantLocale]) {
    const parts = tag.toLowerCase().split('-')
    for (let length = parts.length; length > 0; length--) chain.push(parts.slice(0, length).join('-'))
  }
  return [...new Set(chain)]
}
