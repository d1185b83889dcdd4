import { CHANNELS, type Channel } from '@carillon/contracts'
import { channelShapeProblem } from './channel-shape.js'

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

/** Whether something is a step as the schema has it. */
export type IsStep = (value: unknown) => boolean

const DURATION = 'Write a duration like 20s, 10m, 2h or 1d.'
/** What to write, by place. */
const REMEDIES: Readonly<Record<string, string>> = {
  key: 'Use 1 to 64 of a-z, 0-9 and "-", beginning with a letter or digit.',
  category: 'Use 1 to 64 of a-z, 0-9 and "-", beginning with a letter or digit.',
  on: 'Write an event type, or a list of them.',
  to: 'Write a CEL expression like data.userId, or {role: …}, {topic: …}, {segment: …}, {everyone: true}.',
  lane: 'Write high, normal or bulk.',
  stop: 'Write seen, or leave it out.',
  expires: DURATION,
  cap: 'Write {count: 5, per: 1d}.',
  steps: 'Write a list of 1 to 50 steps.',
  'content.actions': 'Write a list of at most five {id: …, title: …, url: …}.',
  'content.data': 'Write an object of at most 50 keys, of letters, digits, -, _ and dots.',
}
const STEPS =
  'Write inbox, push, email, sms, webhook, or one of wait, digest, throttle, branch, experiment and cancel with its options.'
/** What to write in a step that is known but written wrongly. */
const STEP_REMEDIES: Readonly<Record<string, string>> = {
  wait: 'Write a duration, or one of {until: …}, {at: "09:00"}, {event: …, key: …, for: 1h}, {seen: true, for: 1h}.',
  digest:
    'Write {window: 10m}, {sliding: 5m, atMost: 1h} or {at: "09:00"}, and key, maxItems (2 to 1000) or flushFirst.',
  throttle: 'Write {count: 1, per: 1h}, and key if it is counted by one.',
  branch: 'Write {if: …, then: […], else: […]}.',
  experiment: 'Write {cohorts: [{name: a, share: 50, steps: […]}]}.',
  cancel: 'Write {workflow: …, key: …}.',
}

/** What the schema says, in words: one problem a place, one a step. The validator stops after its first eight violations. */
export function shapeProblems(
  input: unknown,
  errors: Iterable<ShapeError>,
  isStep: IsStep,
): WorkflowProblem[] {
  const problems = new Map<string, WorkflowProblem>()
  for (const error of errors) {
    const problem = problemOf(input, error, isStep)
    if (problem !== undefined && !problems.has(problem.path)) problems.set(problem.path, problem)
  }
  return [...problems.values()]
}

function problemOf(input: unknown, error: ShapeError, isStep: IsStep): WorkflowProblem | undefined {
  const parts = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  const [top, index] = parts
  // a union names what every alternative would have needed; one sentence says more
  if (top === 'steps' && index !== undefined) return stepProblem(input, Number(index), isStep)
  if (top === 'on' || top === 'to') {
    return { path: top, message: `"${top}" has another form.`, remedy: REMEDIES[top] ?? '' }
  }
  const path = parts.join('.')
  if (error.keyword === 'boolean') {
    // a field may have an empty name
    const at = path === '' ? 'workflow' : path
    return {
      path: at,
      message: `"${parts.at(-1)}" is not known here.`,
      remedy: 'Remove it or mend its name.',
    }
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

/** The innermost step that isn't one: a branch is looked into before it is blamed. */
function stepProblem(input: unknown, index: number, isStep: IsStep): WorkflowProblem {
  const steps = (input as { steps: unknown[] }).steps
  return wrongStep(steps[index], { path: `steps.${index}`, name: `Step ${index + 1}` }, isStep)
}

function wrongStep(
  step: unknown,
  { path, name }: { path: string; name: string },
  isStep: IsStep,
): WorkflowProblem {
  const entries = typeof step === 'object' && step !== null ? Object.entries(step) : []
  const [type, options] = entries[0] ?? []
  const written = JSON.stringify(step)?.slice(0, 120)
  if (entries.length !== 1 || type === undefined || !isStepName(type)) {
    return { path, message: `${name} is not one that Carillon knows: ${written}`, remedy: STEPS }
  }
  for (const [inside, list] of innerLists(type, options)) {
    for (const [place, inner] of list.entries()) {
      if (isStep(inner)) continue
      return wrongStep(inner, { path: `${path}.${inside}.${place}`, name: `Step ${place + 1} in it` }, isStep)
    }
  }
  const channel = CHANNELS.find((one) => one === type)
  const wrong = channel && channelShapeProblem(channel, options, { path: `${path}.${type}`, isStep })
  if (wrong !== undefined) return wrong
  const remedy = STEP_REMEDIES[type] ?? 'Write an object with its options.'
  return {
    path: `${path}.${type}`,
    message: `${name} says something that ${type} doesn't know: ${written}`,
    remedy,
  }
}

function isStepName(type: string): boolean {
  return Object.hasOwn(STEP_REMEDIES, type) || CHANNELS.includes(type as Channel)
}

function innerLists(type: string, options: unknown): [string, unknown[]][] {
  const fields = (options ?? {}) as Record<string, unknown>
  const lists: [string, unknown][] =
    type === 'branch'
      ? [
          ['branch.then', fields.then],
          ['branch.else', fields.else],
        ]
      : type === 'experiment' && Array.isArray(fields.cohorts)
        ? fields.cohorts.map((cohort, place) => [`experiment.cohorts.${place}.steps`, cohort?.steps])
        : []
  return lists.filter((list): list is [string, unknown[]] => Array.isArray(list[1]))
}
