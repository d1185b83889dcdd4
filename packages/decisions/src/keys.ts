import type { DomainEvent } from '@carillon/contracts'
import { type Expression, plainValue } from './cel.js'
import type { CompiledWorkflow } from './compile.js'
import { RenderError } from './errors.js'
import { type CelScope, celScope } from './scope.js'
import { storable } from './storable.js'

/** Most characters of a key that an expression gives. */
const MAX_KEY = 256

/** The text or number that an expression gives, as a key; undefined when it gives neither. */
export function keyOf(expression: Expression | undefined, scope: CelScope): string | undefined {
  const result = expression?.(scope)
  if (result?.ok !== true) return undefined
  const value = plainValue(result.value)
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') return undefined
  return storable(String(value).slice(0, MAX_KEY))
}

/**
 * A key without which a step would mix up what doesn't belong together.
 * @throws RenderError that names the step, when the expression gives none
 */
export function neededKey(expression: Expression | undefined, scope: CelScope, path: string): string {
  if (expression === undefined) return ''
  const key = keyOf(expression, scope)
  if (key !== undefined) return key
  const result = expression(scope)
  const why = result.ok ? 'it gives neither text nor a number' : result.problem
  throw new RenderError('VARIABLE_MISSING', path, `${path} could not be judged: ${why}`)
}

/** The key by which the run of this event can be cancelled; undefined when it has none. */
export function cancelKeyOf(event: DomainEvent, workflow: CompiledWorkflow): string | undefined {
  if (workflow.cancelKey === undefined) return undefined
  const key = keyOf(workflow.cancelKey, celScope(event))
  return key === '' ? undefined : key
}
