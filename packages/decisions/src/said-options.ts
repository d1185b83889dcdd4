import { type ChannelOptions, durationMs, type SaidLiveActivity, type SaidOptions } from '@carillon/contracts'
import type { Expression } from './cel.js'
import { keyOf } from './keys.js'
import type { CelScope } from './scope.js'
import { compileStructures, fixedStructures, renderStructures } from './structures.js'
import type { TextScope } from './text-scope.js'
import { hasLiquid, type TextCompiler } from './texts.js'

/** Whom and when a step's options are rendered for. */
export interface OptionsReader {
  scope: TextScope
  tenantLocale: string
  cel: CelScope
  /** Milliseconds. */
  now: number
  /** When what is told was so, milliseconds. */
  toldAt: number
}

/** What a step says of how it is sent. @throws RenderError */
export type StepOptions = (reader: OptionsReader) => SaidOptions

interface Compiler {
  texts: TextCompiler
  /** @throws CompileError */
  expression(source: string, path: string): Expression
}

/** One value for everybody, or one for each reader. */
type Value<T> = { fixed: T } | { render(reader: OptionsReader): T }

type Json = Record<string, unknown>

const PLAIN = [
  ...(['silent', 'dataOnly', 'priority', 'badge', 'interruption'] as const),
  ...(['relevanceScore', 'unlessSeen', 'clearWhenSeen'] as const),
]
const TEXTS = ['sound', 'channelId', 'threadId', 'analyticsLabel', 'replyTo'] as const

/**
 * Compiles what a step says of how it is sent; undefined when it says nothing of it. What has no Liquid and no CEL is
 * made once, here.
 * @throws RenderError when a text's syntax is wrong
 */
export function compileOptions(
  options: ChannelOptions,
  at: string,
  compiler: Compiler,
): StepOptions | undefined {
  const values = Object.entries(valuesOf(options, at, compiler))
  if (values.length === 0) return undefined
  const render = (reader: OptionsReader): SaidOptions =>
    Object.fromEntries(
      // an empty text is as good as none
      values.map(([name, value]) => [name, valueFor(value, reader)]).filter(([, value]) => value !== ''),
    )
  if (values.some(([, value]) => 'render' in value)) return render
  const fixed = Object.fromEntries(values.map(([name, value]) => [name, 'fixed' in value ? value.fixed : '']))
  return () => fixed
}

function valuesOf(
  options: ChannelOptions,
  at: string,
  { texts, expression }: Compiler,
): Record<string, Value<unknown>> {
  const values: { [K in keyof SaidOptions]: Value<unknown> } = {}
  for (const name of PLAIN) if (options[name] !== undefined) values[name] = { fixed: options[name] }
  for (const name of TEXTS) {
    const source = options[name]
    if (source !== undefined) values[name] = textValue(texts, source, `${at}.${name}`)
  }
  const { ttl, collapseKey, overrides, liveActivity } = options
  if (ttl !== undefined) values.ttlSeconds = { fixed: Math.ceil((durationMs(ttl) ?? 0) / 1000) }
  if (collapseKey !== undefined) {
    const key = expression(collapseKey, `${at}.collapseKey`)
    values.collapseKey = { render: ({ cel }) => keyOf(key, cel) ?? '' }
  }
  if (overrides !== undefined) values.overrides = jsonValue(texts, overrides, `${at}.overrides`)
  if (liveActivity !== undefined) {
    values.liveActivity = activityValue(texts, liveActivity, `${at}.liveActivity`)
    // seen is not over: what is on the screen goes on being told
    values.unlessSeen ??= { fixed: false }
  }
  return values
}

function textValue(texts: TextCompiler, source: string, at: string): Value<string> {
  const text = texts.compile(source, at, { html: false })
  return hasLiquid(source)
    ? { render: ({ scope, tenantLocale }) => text.render(scope, tenantLocale) }
    : { fixed: source.trim() }
}

function jsonValue(texts: TextCompiler, written: Json, at: string): Value<Json> {
  const structures = compileStructures(texts, written, at, {})
  const fixed = fixedStructures(structures)
  if (fixed !== undefined) return { fixed }
  return {
    render: ({ scope, tenantLocale }) => renderStructures(texts, structures, { at, scope, tenantLocale }),
  }
}

function activityValue(
  texts: TextCompiler,
  written: NonNullable<ChannelOptions['liveActivity']>,
  at: string,
): Value<SaidLiveActivity> {
  const { id, event, contentState, attributesType, attributes, staleAfter, dismissAfter } = written
  const name = textValue(texts, id, `${at}.id`)
  const state = jsonValue(texts, contentState, `${at}.contentState`)
  const values = jsonValue(texts, attributes ?? {}, `${at}.attributes`)
  const staleMs = staleAfter === undefined ? undefined : durationMs(staleAfter)
  const dismissMs = dismissAfter === undefined ? undefined : durationMs(dismissAfter)
  return {
    render: (reader) => ({
      id: valueFor(name, reader),
      event,
      contentState: valueFor(state, reader),
      ...(attributesType === undefined ? {} : { attributesType }),
      ...(attributes === undefined ? {} : { attributes: valueFor(values, reader) }),
      at: reader.toldAt,
      ...(staleMs === undefined ? {} : { staleAt: reader.now + staleMs }),
      ...(dismissMs === undefined ? {} : { dismissAt: reader.now + dismissMs }),
    }),
  }
}

function valueFor<T>(value: Value<T>, reader: OptionsReader): T {
  return 'fixed' in value ? value.fixed : value.render(reader)
}
