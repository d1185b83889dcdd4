import type {
  Content,
  LayoutDocument,
  PartialDocument,
  TemplateKind,
  WorkflowDefinition,
} from '@carillon/contracts'
import { compileContent } from './content.js'
import { RenderError } from './errors.js'
import { createTextCompiler } from './texts.js'

type Localised<D> = Readonly<Record<string, Readonly<Record<string, D>>>>

/** A tenant's templates by key and locale; `default` is for readers in whose locale there is none. */
export interface Templates {
  contents: Localised<Content>
  partials: Localised<PartialDocument>
  layouts: Localised<LayoutDocument>
}

/** A template as it is stored: what `locales` hold depends on the kind. */
export interface StoredTemplate {
  key: string
  kind: TemplateKind
  locales: unknown
}

const PLURALS = { content: 'contents', partial: 'partials', layout: 'layouts' } as const

/** Templates by kind; of several with one key the last counts. */
export function templatesOf(stored: Iterable<StoredTemplate>): Templates {
  const templates: Record<keyof Templates, Record<string, unknown>> = {
    contents: {},
    partials: {},
    layouts: {},
  }
  for (const { key, kind, locales } of stored) templates[PLURALS[kind]][key] = locales
  return templates as unknown as Templates
}

/**
 * What is wrong with a template, given all templates there are, itself included: undefined when it can be rendered.
 * What a mail may say is allowed, since a template doesn't know where it is shown.
 */
export function templateProblem(
  { key, kind }: { key: string; kind: TemplateKind },
  templates: Templates,
): RenderError | undefined {
  const compiler = createTextCompiler(templates)
  try {
    if (kind !== 'content') compiler.check(kind, key, 'locales')
    else {
      const { default: base, ...locales } = templates.contents[key] ?? {}
      compileContent(compiler, [{ content: base, locales }], { at: 'locales.default', channel: 'email' })
    }
    return undefined
  } catch (error) {
    if (error instanceof RenderError) return error
    throw error
  }
}

export interface TemplateUsers {
  /** Keys of workflows. */
  workflows: string[]
  /** Keys of other templates. */
  templates: string[]
}

/** Who names a template: its users break without it. Only what names it itself. */
export function usersOfTemplate(
  template: { key: string; kind: TemplateKind },
  among: { workflows: readonly WorkflowDefinition[]; templates: readonly StoredTemplate[] },
): TemplateUsers {
  const uses = (written: unknown) => namesIn(written).has(`${template.kind} ${template.key}`)
  return {
    workflows: among.workflows.filter(uses).map(({ key }) => key),
    templates: among.templates.filter(({ locales }) => uses(locales)).map(({ key }) => key),
  }
}

/** `{% render 'name' %}`, and as a line of `{% liquid %}`. */
const RENDERED = /\brender\s+(?:'([^']*)'|"([^"]*)")/g

/** Templates that a workflow or a template names, as `kind key`. */
function namesIn(written: unknown, names = new Set<string>()): Set<string> {
  if (typeof written === 'string') {
    for (const [, single, double] of written.matchAll(RENDERED)) names.add(`partial ${single ?? double}`)
  }
  if (typeof written !== 'object' || written === null) return names
  for (const [name, part] of Object.entries(written)) {
    if (name === 'messages') continue
    if (APP_JSON.has(name)) {
      for (const text of textsIn(part)) namesIn(text, names)
      continue
    }
    if (typeof part === 'string' && name === 'template') names.add(`content ${part}`)
    if (typeof part === 'string' && name === 'layout') names.add(`layout ${part}`)
    namesIn(part, names)
  }
  return names
}

/** JSON of the app's or a provider's own, whose keys mean nothing here. */
const APP_JSON = new Set(['data', 'overrides', 'contentState', 'attributes'])

function* textsIn(part: unknown): Generator<string> {
  if (typeof part === 'string') yield part
  if (typeof part === 'object' && part !== null) for (const one of Object.values(part)) yield* textsIn(one)
}
