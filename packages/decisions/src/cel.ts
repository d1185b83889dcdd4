import { Environment } from '@marcbachmann/cel-js'
import { hasTooManyValues, shapeOf, TOO_MANY_VALUES } from './cel-limits.js'
import type { CelScope } from './scope.js'

/** A compiled expression; evaluation may fail, which is a reason and not a crash. */
export type Expression = (scope: CelScope) => CelResult

export type CelResult = { ok: true; value: unknown } | { ok: false; problem: string }

/** What an expression may name: `event` for whom is not yet known, `person` and `run` for steps. */
export type CelNames = 'event' | 'person' | 'run'

/** Compiles CEL expressions. Parsed once, evaluated in well under a microsecond. */
export interface CelCompiler {
  /** @param names what is in scope; default: the event alone */
  compile(
    source: string,
    names?: CelNames,
  ): { ok: true; expression: Expression } | { ok: false; problem: string }
}

/** CEL without what has no bound on hostile data, and without a clock: the same event is judged the same for ever. */
export function createCelCompiler(): CelCompiler {
  const environments = new Map<CelNames, Environment>()
  const environmentOf = (names: CelNames): Environment => {
    const known = environments.get(names)
    if (known !== undefined) return known
    const made = createEnvironment(names)
    environments.set(names, made)
    return made
  }
  return {
    compile(source, names = 'event') {
      try {
        const parsed = environmentOf(names).parse(source)
        const check = parsed.check()
        if (!check.valid) return { ok: false, problem: firstLine(check.error) }
        const shape = shapeOf(parsed.ast)
        if (shape.problem !== undefined) return { ok: false, problem: shape.problem }
        const loops = shape.loops > 0
        return {
          ok: true,
          expression: (scope) => {
            if (loops && hasTooManyValues(scope.data)) return { ok: false, problem: TOO_MANY_VALUES }
            try {
              return { ok: true, value: parsed(scope as unknown as Record<string, unknown>) }
            } catch (error) {
              return { ok: false, problem: firstLine(error) }
            }
          },
        }
      } catch (error) {
        return { ok: false, problem: firstLine(error) }
      }
    },
  }
}

function createEnvironment(names: CelNames): Environment {
  const environment = new Environment({
    unlistedVariablesAreDyn: false,
    homogeneousAggregateLiterals: false,
    limits: { maxAstNodes: 2_000, maxDepth: 100, maxListElements: 500, maxMapEntries: 200 },
  })
    .registerVariable('data', 'dyn')
    .registerVariable('event', 'map')
  if (names === 'event') return environment
  environment.registerVariable('user', 'dyn')
  return names === 'person' ? environment : environment.registerVariable('run', 'dyn')
}

/** What is wrong with an expression over `data` and `event`, or undefined. */
export function checkExpression(source: string): string | undefined {
  const compiled = createCelCompiler().compile(source)
  return compiled.ok ? undefined : compiled.problem
}

/** What keeps a condition from being true; undefined: nothing. */
export function conditionProblem(result: CelResult): string | undefined {
  if (!result.ok) return `could not be judged: ${result.problem}`
  if (result.value === true) return undefined
  return result.value === false ? 'is false' : 'gives neither true nor false'
}

/** CEL's integers are bigint; JSON has none. */
export function plainValue(value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return (message.split('\n', 1)[0] ?? '').trim()
}
