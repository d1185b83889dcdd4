import { type ChannelRule, DEFAULT_CHANNEL_RULE } from '@carillon/contracts'
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import { RoomError } from './errors.js'
import { formats } from './formats.js'
import { compilePattern } from './patterns.js'
import { below, shownPointer } from './pointer.js'
import { checkData, type DataProblem, MAX_PUBLICATION_BYTES } from './publication.js'
import { checkSchema } from './schema-check.js'

/** A rule that is ready to judge. */
export interface CompiledRule {
  readonly rule: ChannelRule
  /** What is wrong with data for this namespace, the first thing found; its size is not looked at. */
  validate(data: unknown): DataProblem | undefined
  /** The body to publish, at most `MAX_PUBLICATION_BYTES` long, or what is wrong with the data. */
  encode(data: unknown): { ok: true; body: string } | { ok: false; problem: DataProblem }
}

export interface RuleCompiler {
  /** @throws RoomError `SCHEMA_INVALID`, with the place in the schema */
  compile(rule: ChannelRule): CompiledRule
  /** As `compile`, but a schema that can't be used lets nothing be published instead of throwing. */
  compileSafely(rule: ChannelRule): CompiledRule
  /** The rule of a namespace that has none. */
  byDefault(namespace: string): CompiledRule
}

/** Work that patterns may do on one publication: characters times steps of their programs, about a third of a second at worst. */
const PATTERN_WORK = 1_500_000

/** Schemas come from tenants: they are checked for what they would cost before the compiler sees them. */
export function createRuleCompiler(): RuleCompiler {
  const meter = { left: 0 }
  const ajv = new Ajv2020({
    strict: true,
    strictTypes: false,
    strictTuples: false,
    strictRequired: false,
    // what objects inherit is no member of theirs
    ownProperties: true,
    formats: formats(),
    logger: false,
    code: { regExp: Object.assign(meteredPatterns(meter), { code: 'new RegExp' }) },
  })
  const compile = (rule: ChannelRule): CompiledRule =>
    compiled(rule, rule.schema === null ? undefined : judgeOf(ajv, rule.schema, meter))
  return {
    compile,
    compileSafely(rule) {
      try {
        return compile(rule)
      } catch (error) {
        if (!(error instanceof RoomError)) throw error
        return compiled(rule, () => ({ path: '', message: 'has a schema that can not be used' }))
      }
    },
    byDefault: (namespace) => compiled({ namespace, ...DEFAULT_CHANNEL_RULE }, undefined),
  }
}

type Judge = (data: unknown) => DataProblem | undefined

function compiled(rule: ChannelRule, judge: Judge | undefined): CompiledRule {
  const validate: Judge = (data) => checkData(data) ?? judge?.(data)
  return {
    rule,
    validate,
    encode(data) {
      const shape = checkData(data)
      if (shape !== undefined) return { ok: false, problem: shape }
      const body = JSON.stringify(data)
      if (Buffer.byteLength(body) > MAX_PUBLICATION_BYTES) {
        return { ok: false, problem: { path: '', message: `may have ${MAX_PUBLICATION_BYTES} bytes` } }
      }
      const problem = judge?.(data)
      return problem === undefined ? { ok: true, body } : { ok: false, problem }
    },
  }
}

interface Meter {
  left: number
}

class TooMuchWork extends Error {}

function judgeOf(ajv: Ajv2020, schema: Readonly<Record<string, unknown>>, meter: Meter): Judge {
  const problem = checkSchema(schema)
  if (problem !== undefined) throw invalid(problem.path, problem.message)
  const { $schema: _, ...body } = schema
  if (ajv.validateSchema(body) !== true) {
    const [first] = ajv.errors ?? []
    throw invalid(first?.instancePath ?? '', first?.message ?? 'is no schema')
  }
  let check: ValidateFunction
  try {
    check = ajv.compile(body)
  } catch (error) {
    throw invalid('', error instanceof Error ? error.message.slice(0, 200) : 'is no schema')
  } finally {
    // the compiler would keep every schema that it ever saw
    ajv.removeSchema(body)
  }
  return (data) => {
    meter.left = PATTERN_WORK
    try {
      return check(data) === true ? undefined : problemOf(check.errors?.[0])
    } catch (error) {
      if (error instanceof TooMuchWork)
        return { path: '', message: 'has too much text for the patterns of its schema' }
      throw error
    }
  }
}

function invalid(path: string, message: string): RoomError {
  const shown = shownPointer(path)
  return new RoomError(
    'SCHEMA_INVALID',
    `The schema can't be used: ${shown === '' ? 'it' : shown} ${message}.`,
    shown,
  )
}

function problemOf(error: ErrorObject | undefined): DataProblem {
  const params = error?.params as { missingProperty?: string; additionalProperty?: string } | undefined
  const member = params?.missingProperty ?? params?.additionalProperty
  const path = error?.instancePath ?? ''
  return {
    path: shownPointer(typeof member === 'string' ? below(path, member) : path),
    message:
      params?.missingProperty !== undefined
        ? 'is missing'
        : params?.additionalProperty !== undefined
          ? 'is not known'
          : (error?.message ?? 'is not valid'),
  }
}

/** The compiler's patterns run in time proportional to the text, and only as long as there is work left. */
function meteredPatterns(meter: Meter): (pattern: string) => { test(text: string): boolean } {
  return (pattern) => {
    const found = compilePattern(pattern)
    if (typeof found === 'string') throw new RoomError('SCHEMA_INVALID', `A pattern ${found}.`)
    const test = (text: string): boolean => {
      meter.left -= text.length * found.size
      if (meter.left < 0) throw new TooMuchWork()
      return found.test(text)
    }
    // the compiler tells patterns apart by their text
    return { test, toString: () => pattern } as { test(text: string): boolean }
  }
}
