/** Something that keeps a workflow from working, and what to do about it. */
export interface WorkflowProblem {
  /** Like `steps.2.email.template`. */
  path: string
  message: string
  remedy: string
}

/** One violation, as the schema's validator reports it. */
export interface ShapeError {
  instancePath: string
  message: string
  keyword: string
  params?: unknown
}

const DURATION = 'Write a duration like 20s, 10m, 2h or 1d.'
/** What to write, by place. */
const REMEDIES: Readonly<Record<string, string>> = {
  key: 'Use 1 to 64 of a-z, 0-9 and "-", beginning with a letter or digit.',
  category: 'Use 1 to 64 of a-z, 0-9 and "-", beginning with a letter or digit.',
  on: 'Write an event type, or a list of them.',
  to: 'Write a CEL expression like data.userId, {role: …} or {topic: …}.',
  lane: 'Write high, normal or bulk.',
  stop: 'Write seen, or leave it out.',
  expires: DURATION,
  cap: 'Write {count: 5, per: 1d}.',
  steps: 'Write a list of 1 to 50 steps.',
}
const STEPS = 'Write inbox, push, email, webhook or {wait: 20s}; options stand under the name of the channel.'

/** What the schema says, in words: one problem a place, one a step. The validator stops after its first eight violations. */
export function shapeProblems(input: unknown, errors: Iterable<ShapeError>): WorkflowProblem[] {
  const problems = new Map<string, WorkflowProblem>()
  for (const error of errors) {
    const problem = problemOf(input, error)
    if (problem !== undefined && !problems.has(problem.path)) problems.set(problem.path, problem)
  }
  return [...problems.values()]
}

function problemOf(input: unknown, error: ShapeError): WorkflowProblem | undefined {
  const parts = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  const [top, index] = parts
  // a union names what every alternative would have needed; one sentence says more
  if (top === 'steps' && index !== undefined) return stepProblem(input, Number(index))
  if (top === 'on' || top === 'to') {
    return { path: top, message: `"${top}" has another form.`, remedy: REMEDIES[top] ?? '' }
  }
  const path = parts.join('.')
  if (error.keyword === 'boolean') {
    return { path, message: `"${parts.at(-1)}" is not known here.`, remedy: 'Remove it or mend its name.' }
  }
  // the same violation once more, at the object that holds it
  if (error.keyword === 'additionalProperties') return undefined
  const missing = (error.params as { requiredProperties?: string[] } | undefined)?.requiredProperties?.[0]
  if (missing !== undefined) {
    const at = [...parts, missing].join('.')
    return { path: at, message: `"${missing}" is missing.`, remedy: remedyOf(at) ?? `Add "${missing}".` }
  }
  if (path === '')
    return { path: 'workflow', message: 'A workflow is an object.', remedy: 'Write key, on, to and steps.' }
  return { path, message: `It ${error.message}.`, remedy: remedyOf(path) ?? 'Mend the value.' }
}

function remedyOf(path: string): string | undefined {
  return REMEDIES[path] ?? REMEDIES[path.split('.', 1)[0] as string]
}

function stepProblem(input: unknown, index: number): WorkflowProblem {
  const written = JSON.stringify((input as { steps: unknown[] }).steps[index])?.slice(0, 120)
  return {
    path: `steps.${index}`,
    message: `Step ${index + 1} is not one that Carillon knows: ${written}`,
    remedy: STEPS,
  }
}
