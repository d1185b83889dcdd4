import { type Channel, type Content, type SaidOptions, UNSUBSCRIBE_PLACE } from '@carillon/contracts'
import { type CompiledActions, compileActions, type RenderedAction, renderActions } from './actions.js'
import { compileData } from './app-data.js'
import { createLocaleChains, normalLocale } from './locale-chains.js'
import { compileMessages, type Messages } from './messages.js'
import { renderStructures, type Structures } from './structures.js'
import type { TextScope } from './text-scope.js'
import type { Text, TextCompiler } from './texts.js'

/** Rendered texts of one notification or one step. */
export interface RenderedContent {
  title?: string
  subtitle?: string
  body?: string
  subject?: string
  html?: string
  url?: string
  imageUrl?: string
  actions?: RenderedAction[]
  /** For the app. */
  data?: Record<string, unknown>
  replyTo?: string
  /** What the step says of how it is sent. */
  options?: SaidOptions
}

const FIELDS = ['title', 'subtitle', 'body', 'subject', 'html', 'url', 'imageUrl', 'replyTo'] as const

/** Compiled texts by locale. A locale holds only what it says itself; the rest falls back field by field. */
export interface LocalisedTexts {
  /** Which locales a reader's locale falls back through, most exact first. */
  render(scope: TextScope, tenantLocale: string): RenderedContent
  readonly isEmpty: boolean
}

type Texts = Partial<Record<(typeof FIELDS)[number], Text>> & {
  layout?: string
  actions?: CompiledActions
  data?: Structures
}

/** Texts kept by reader; a stranger's locale has no texts of its own, but a name of its own. */
const MAX_KEPT = 1_000

/** Texts as they are written: what everybody reads, and what single locales say instead. */
export interface WrittenContent {
  content?: Content | undefined
  locales?: Readonly<Record<string, Content>> | undefined
}

/**
 * Compiles one content document. Fallback for a reader with `de-AT`: `de-AT`, `de`, the tenant's locale, its language,
 * then the default content, which is written in the tenant's locale. Messages fall back the same way, one by one.
 * @param layers what a step says comes after what its workflow says, and takes its place field by field
 * @param about.channel whose texts these are alone; undefined: several channels show them
 * @throws RenderError when a template's syntax is wrong, or it needs what isn't there
 */
export function compileContent(
  compiler: TextCompiler,
  layers: readonly WrittenContent[],
  about: { at: string; channel?: Channel },
): LocalisedTexts {
  const { at, channel } = about
  const mail = channel === 'email'
  const content = merged(layers.map((layer) => layer.content))
  const names = new Set(layers.flatMap(({ locales }) => Object.keys(locales ?? {})))
  const entries = [...names].map(
    (locale) => [locale, merged(layers.map(({ locales }) => locales?.[locale]))] as const,
  )
  const messages = compileMessages(
    content.messages,
    Object.fromEntries(entries.map(([locale, texts]) => [locale, texts.messages])),
    at,
  )
  const compileTexts = (texts: Content, place: string, locale: string | undefined) =>
    compileFields(compiler, texts, { at: place, locale, messages, mail, channel })
  const inLayout = (texts: Texts): Texts => {
    const inner = texts.html ?? texts.body
    if (texts.layout === undefined || inner === undefined) return texts
    const options = { field: `${at}.html`, html: texts.html !== undefined }
    return { ...texts, html: compiler.wrap(inner, texts.layout, options) }
  }
  const own = compileTexts(content, at, undefined)
  const base = inLayout(own)
  const byLocale = new Map<string, Texts>()
  for (const [locale, texts] of entries) {
    const compiled = compileTexts(withUrls(texts, content.actions), `locales.${locale}`, locale)
    // a layout that isn't there is told now
    inLayout({ ...own, ...compiled })
    byLocale.set(normalLocale(locale), compiled)
  }
  const chains = createLocaleChains()
  const kept = new Map<string, Texts>()
  const textsFor = (locale: string, tenantLocale: string): Texts => {
    const name = `${locale} ${tenantLocale}`
    let texts = kept.get(name)
    if (texts === undefined) {
      const fallbacks = chains(locale, tenantLocale).map((step) => byLocale.get(step))
      const all = [own, ...fallbacks.reverse()]
      texts = inLayout(Object.assign({}, ...all) as Texts)
      if (texts.data !== undefined) texts.data = Object.assign({}, ...all.map((one) => one?.data))
      if (kept.size < MAX_KEPT) kept.set(name, texts)
    }
    return texts
  }
  return {
    isEmpty: Object.keys(base).length === 0 && byLocale.size === 0,
    render(scope, tenantLocale) {
      const texts = byLocale.size === 0 ? base : textsFor(scope.user.locale, tenantLocale)
      const inMail: TextScope =
        mail || texts.html !== undefined ? { ...scope, unsubscribe: { url: UNSUBSCRIBE_PLACE } } : scope
      const rendered: RenderedContent = {}
      for (const field of FIELDS) {
        const text = texts[field]
        if (text === undefined) continue
        rendered[field] = text.render(mail || field === 'html' ? inMail : scope, tenantLocale)
      }
      const { actions, data } = texts
      if (actions === undefined && data === undefined) return rendered
      const reader = { scope: mail ? inMail : scope, tenantLocale }
      if (actions !== undefined) addActions(rendered, renderActions(actions, reader))
      if (data !== undefined)
        rendered.data = renderStructures(compiler, data, { at: `${at}.data`, ...reader })
      return rendered
    },
  }
}

function merged(layers: readonly (Content | undefined)[]): Content {
  const messages = Object.assign({}, ...layers.map((layer) => layer?.messages)) as Content['messages']
  const texts = { ...(Object.assign({}, ...layers) as Content), messages: messages ?? {} }
  // what an app gets is told by key; everything else takes the place of what was said before
  if (texts.data !== undefined) texts.data = Object.assign({}, ...layers.map((layer) => layer?.data))
  return texts
}

/** A translated button leads where the button with its id leads, unless it says where itself. */
function withUrls(texts: Content, actions: Content['actions'] = []): Content {
  if (texts.actions === undefined) return texts
  const urls = new Map(actions.map(({ id, url }) => [id, url]))
  return {
    ...texts,
    actions: texts.actions.map((action) => {
      const url = action.url ?? urls.get(action.id)
      return url === undefined ? action : { ...action, url }
    }),
  }
}

function addActions(rendered: RenderedContent, actions: RenderedAction[]): void {
  if (actions.length > 0) rendered.actions = actions
}

/** What only mails show; other channels alone don't pay for it. */
const MAIL_FIELDS: ReadonlySet<string> = new Set(['subject', 'html', 'replyTo'])
const WITHOUT_MAIL: ReadonlySet<Channel | undefined> = new Set(['push', 'sms'])

function compileFields(
  compiler: TextCompiler,
  content: Content,
  about: {
    at: string
    locale: string | undefined
    messages: Messages
    mail: boolean
    channel: Channel | undefined
  },
): Texts {
  const { at, locale, messages, mail, channel } = about
  const texts: Texts = {}
  const leavesMail = WITHOUT_MAIL.has(channel)
  for (const field of FIELDS) {
    const source = content[field]
    if (source === undefined || (leavesMail && MAIL_FIELDS.has(field))) continue
    const html = field === 'html'
    texts[field] = compiler.compile(source, `${at}.${field}`, { html, mail: mail || html, locale, messages })
  }
  if (content.layout !== undefined && !leavesMail) texts.layout = content.layout
  const options = { mail, locale, messages }
  if (content.actions !== undefined)
    texts.actions = compileActions(compiler, content.actions, `${at}.actions`, options)
  if (content.data !== undefined) texts.data = compileData(compiler, content.data, `${at}.data`, options)
  return texts
}
