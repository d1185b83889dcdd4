import type { Content } from '@carillon/contracts'
import { RenderError } from './errors.js'
import type { TextScope } from './text-scope.js'
import type { Text, TextCompiler, TextOptions } from './texts.js'

/** A button as it is shown. */
export interface RenderedAction {
  id: string
  title: string
  url?: string
}

export type CompiledActions = readonly { id: string; title: Text; url: Text | undefined }[]

/** @throws RenderError when a text's syntax is wrong, or two buttons share an id */
export function compileActions(
  compiler: TextCompiler,
  actions: NonNullable<Content['actions']>,
  at: string,
  options: Omit<TextOptions, 'html'>,
): CompiledActions {
  const compile = (source: string, field: string) =>
    compiler.compile(source, field, { ...options, html: false })
  const twice = actions.findIndex(({ id }, place) => actions.findIndex((one) => one.id === id) < place)
  if (twice >= 0) {
    const field = `${at}.${twice}.id`
    throw new RenderError('TEMPLATE', field, `${field}: two buttons have the id "${actions[twice]?.id}".`)
  }
  return actions.map(({ id, title, url }, place) => ({
    id,
    title: compile(title, `${at}.${place}.title`),
    url: url === undefined ? undefined : compile(url, `${at}.${place}.url`),
  }))
}

/** The buttons that have a title for this reader. @throws RenderError */
export function renderActions(
  actions: CompiledActions,
  { scope, tenantLocale }: { scope: TextScope; tenantLocale: string },
): RenderedAction[] {
  const rendered: RenderedAction[] = []
  for (const action of actions) {
    const title = action.title.render(scope, tenantLocale)
    if (title === '') continue
    const url = action.url?.render(scope, tenantLocale)
    rendered.push({ id: action.id, title, ...(url === undefined || url === '' ? {} : { url }) })
  }
  return rendered
}
