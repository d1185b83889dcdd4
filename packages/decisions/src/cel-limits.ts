/** Most lists an expression may go through, and how deep one in the other. */
const MAX_LOOPS = 4
const MAX_NESTING = 2
/** Most values that data may hold for an expression that goes through lists: what nesting makes of it stays under a second. */
const MAX_VALUES = 2_000

const LOOPS = new Set(['all', 'exists', 'exists_one', 'map', 'filter'])

/** Functions that can't be bounded. A pattern can take exponential time over one hostile text. */
const REFUSED: Readonly<Record<string, string>> = {
  matches: 'Regular expressions can take for ever on one text. Use startsWith, endsWith, contains or ==.',
  join: 'join is not offered: what it builds has no bound.',
  bind: 'cel.bind is not offered: what it builds has no bound.',
}

/** What an expression would cost at worst. */
export interface CelShape {
  loops: number
  problem: string | undefined
}

/**
 * Looks through a parsed expression for what could hold up every other event. The limits hold against hostile data;
 * who may publish a workflow is trusted not to be hostile, only to err.
 */
export function shapeOf(ast: unknown): CelShape {
  const shape: CelShape = { loops: 0, problem: undefined }
  visit(ast, 0, shape)
  if (shape.loops > MAX_LOOPS)
    shape.problem ??= `It goes through ${shape.loops} lists; at most ${MAX_LOOPS} are allowed.`
  return shape
}

function visit(node: unknown, nesting: number, shape: CelShape): void {
  if (Array.isArray(node)) {
    for (const part of node) visit(part, nesting, shape)
    return
  }
  if (typeof node !== 'object' || node === null || !('op' in node)) return
  const { op, args } = node as { op: unknown; args: unknown }
  if (op !== 'rcall' && op !== 'call') {
    visit(args, nesting, shape)
    return
  }
  const [name, ...operands] = args as [string, ...unknown[]]
  shape.problem ??= Object.hasOwn(REFUSED, name) ? REFUSED[name] : undefined
  if (op === 'call' || !LOOPS.has(name)) {
    visit(operands, nesting, shape)
    return
  }
  shape.loops++
  if (nesting + 1 > MAX_NESTING) shape.problem ??= 'It goes through lists more than two deep.'
  visit(operands[0], nesting, shape)
  visit(operands.slice(1), nesting + 1, shape)
}

/** True when `data` holds more values than an expression with loops may see. Stops counting there. */
export function hasTooManyValues(data: unknown): boolean {
  let left = MAX_VALUES
  const pending: unknown[] = [data]
  while (pending.length > 0) {
    const value = pending.pop()
    if (--left < 0) return true
    if (typeof value !== 'object' || value === null) continue
    const parts = Array.isArray(value) ? value : Object.values(value)
    if (parts.length > left) return true
    for (const part of parts) pending.push(part)
  }
  return false
}

export const TOO_MANY_VALUES = `data holds more than ${MAX_VALUES} values, too many to go through its lists`
