import type { LayoutDocument } from '@carillon/contracts'
import type { Liquid } from 'liquidjs'
import { type CompiledDocument, compileDocument } from './documents.js'
import { RenderError } from './errors.js'
import type { Partials } from './partials.js'
import { assertNamesKnown } from './text-checks.js'

/** Layouts by key and locale. */
export type LayoutDocuments = Readonly<Record<string, Readonly<Record<string, LayoutDocument>>>>

/** @throws RenderError when there is no such layout or it can't be compiled */
export type FindLayout = (key: string, field: string) => CompiledDocument

/**
 * The layouts of a tenant, compiled when the first mail is put into them.
 * @param documents undefined: not known which there are
 */
export function createLayouts(
  engine: Liquid,
  partials: Partials,
  documents: LayoutDocuments | undefined,
): FindLayout {
  const compiled = new Map<string, CompiledDocument>()
  return (key, field) => {
    const known = compiled.get(key)
    if (known !== undefined) return known
    const refuse = (why: string) => new RenderError('TEMPLATE', field, `${field}: ${why}`)
    if (documents === undefined || !Object.hasOwn(documents, key))
      throw refuse(`there is no layout "${key}".`)
    const place = `the layout "${key}"`
    const written = Object.entries(documents[key] as LayoutDocuments[string]).map(
      ([locale, { html, messages }]) => [locale, { source: html, messages }] as const,
    )
    const layout = compileDocument(engine, Object.fromEntries(written), { field, place })
    for (const templates of layout.all) {
      assertNamesKnown(engine, templates, { field: `${field}: ${place}`, mail: true, layout: true })
      if (!engine.globalVariablesSync(templates).includes('content')) {
        throw refuse(`${place} has no place for the mail; write {{ content }} where it goes.`)
      }
    }
    partials.prepare(layout.partials, field)
    compiled.set(key, layout)
    return layout
  }
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
}

/** Plain text as HTML: blank lines part paragraphs, other line breaks stay. */
export function paragraphs(text: string): string {
  return text
    .replace(/[&<>"']/g, (character) => ENTITIES[character] as string)
    .split(/(?:\r?\n[ \t]*){2,}/)
    .filter((paragraph) => paragraph.trim() !== '')
    .map((paragraph) => `<p>${paragraph.trim().replace(/\r?\n/g, '<br>\n')}</p>`)
    .join('\n')
}
