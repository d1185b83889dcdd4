import {
  Context,
  type Emitter,
  Hash,
  type Liquid,
  Tag,
  type TagToken,
  type Template,
  type TopLevelToken,
  TypeGuards,
  type ValueToken,
} from 'liquidjs'
import { globalsFor, type Rendering, renderingOf } from './rendering.js'

/** A partial for one reader: what to render, and what filters in it know. */
export interface FoundPartial {
  templates: Template[]
  rendering: Rendering
}

/** @throws RenderError when there is no such partial */
export type FindPartial = (name: string, from: Rendering) => FoundPartial

/** `{% render 'name', argument: value %}`. Which partials there are is only asked when one is rendered. */
export abstract class RenderPartial extends Tag {
  readonly partial: string
  readonly given: ReadonlySet<string>
  readonly #values: Hash

  constructor(token: TagToken, remainTokens: TopLevelToken[], liquid: Liquid) {
    super(token, remainTokens, liquid)
    const usage = "render takes a name in quotes and arguments: {% render 'card', driver: data.driver %}"
    const name = this.tokenizer.readValue()
    if (name === undefined || !TypeGuards.isQuotedToken(name)) throw new Error(usage)
    this.partial = name.content
    this.#values = new Hash(this.tokenizer)
    this.tokenizer.skipBlank()
    const values = Object.values(this.#values.hash)
    if (!this.tokenizer.end() || values.includes(undefined)) throw new Error(usage)
    this.given = new Set(Object.keys(this.#values.hash))
  }

  /** The partial sees its arguments and nothing else. Limits are those of the whole text. */
  *render(context: Context, emitter: Emitter): Generator<unknown, void, unknown> {
    const from = renderingOf(context)
    const { templates, rendering } = this.find(this.partial, from)
    const given = (yield this.#values.render(context)) as Record<string, unknown>
    for (const name of Object.keys(given)) {
      if (given[name] === null || given[name] === undefined) delete given[name]
    }
    const { sync, strictVariables, ownPropertyOnly, memoryLimit, renderLimit, liquid } = context
    const isolated = new Context(
      given,
      context.opts,
      { sync, strictVariables, ownPropertyOnly, globals: globalsFor(rendering) },
      { memoryLimit, renderLimit, liquid },
    )
    from.path.push(this.partial)
    yield this.liquid.renderer.renderTemplates(templates, isolated, emitter)
    from.path.pop()
  }

  *arguments(): Generator<ValueToken> {
    for (const value of Object.values(this.#values.hash)) {
      if (value !== undefined && TypeGuards.isValueToken(value)) yield value
    }
  }

  protected abstract find(name: string, from: Rendering): FoundPartial
}

type RenderTag = new (token: TagToken, remainTokens: TopLevelToken[], liquid: Liquid) => RenderPartial

/** The tag for one engine. */
export function renderTag(find: FindPartial): RenderTag {
  return class extends RenderPartial {
    protected find(name: string, from: Rendering): FoundPartial {
      return find(name, from)
    }
  }
}
