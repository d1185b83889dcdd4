import { durationMs, type WorkflowDefinition } from '@carillon/contracts'
import { stepOf } from './compile.js'
import type { WorkflowProblem } from './shape-problems.js'
import { isStorable } from './storable.js'

/** Longest wait, expiry and window of a cap. */
const MAX_DURATION = '365d'
const MAX_DURATION_MS = 365 * 86_400_000
const LOCALE = /^[a-z]{2,3}(-[a-z0-9]{2,8})*$/i

/** Words that the schema lets through and that would never fit: event types, locales, characters that can't be kept. */
export function wordProblems(definition: WorkflowDefinition): WorkflowProblem[] {
  const problems: WorkflowProblem[] = []
  const types = Array.isArray(definition.on) ? definition.on : [definition.on]
  for (const type of types) {
    if (type.replace(/\.\*$/, '').includes('*') || type.trim() !== type) {
      problems.push({
        path: 'on',
        message: `"${type}" fits no event type.`,
        remedy: 'Write a type like rides.ride.accepted.v1, or rides.ride.* for all below rides.ride.',
      })
    }
  }
  for (const locale of Object.keys(definition.locales ?? {})) {
    if (!LOCALE.test(locale)) {
      problems.push({
        path: `locales.${locale}`,
        message: `"${locale}" is not a locale.`,
        remedy: 'Write a language tag like de or de-AT.',
      })
    }
  }
  for (const { path, text } of textsIn(definition, '')) {
    if (!isStorable(text)) {
      problems.push({
        path,
        message: 'It holds control characters or half a character.',
        remedy: 'Remove them.',
      })
    }
  }
  return problems
}

export function timeProblems(definition: WorkflowDefinition): WorkflowProblem[] {
  const problems: WorkflowProblem[] = []
  const bounded = (path: string, duration: string | undefined): number | undefined => {
    const ms = duration === undefined ? undefined : durationMs(duration)
    if (ms !== undefined && ms > MAX_DURATION_MS) {
      problems.push({
        path,
        message: `${duration} is longer than ${MAX_DURATION}.`,
        remedy: `Use at most ${MAX_DURATION}.`,
      })
    }
    return ms
  }
  const expiresMs = bounded('expires', definition.expires)
  bounded('cap.per', definition.cap?.per)
  let elapsedMs = 0
  definition.steps.forEach((step, index) => {
    if (typeof step !== 'string' && 'wait' in step) {
      elapsedMs += bounded(`steps.${index}.wait`, step.wait) ?? 0
    } else if (expiresMs !== undefined && elapsedMs >= expiresMs) {
      problems.push({
        path: `steps.${index}`,
        message: `Step ${index + 1} would come after the notification has expired (${definition.expires}).`,
        remedy: 'Raise `expires` or shorten the waits before it.',
      })
    }
  })
  const last = definition.steps.at(-1)
  if (typeof last === 'object' && 'wait' in last) {
    problems.push({
      path: `steps.${definition.steps.length - 1}`,
      message: 'Nothing comes after the last wait.',
      remedy: 'Add a step after it or remove it.',
    })
  }
  return problems
}

export function contentProblems(definition: WorkflowDefinition): WorkflowProblem[] {
  const problems: WorkflowProblem[] = []
  const says = (text: string | undefined): boolean => text !== undefined && text.trim() !== ''
  const shared = says(definition.content?.title) || says(definition.content?.body)
  definition.steps.forEach((step, index) => {
    if (typeof step !== 'string' && 'wait' in step) return
    const [type, { content, template, url }] = stepOf(step)
    const own = says(content?.title) || says(content?.body) || (type === 'email' && says(content?.html))
    if (type !== 'webhook' && !shared && !own && template === undefined) {
      problems.push({
        path: `steps.${index}.${type}`,
        message: `${type} has nothing to say.`,
        remedy: 'Give the workflow `content` with a title or a body.',
      })
    }
    if (type !== 'webhook') return
    const path = `steps.${index}.webhook.url`
    if (url === undefined)
      problems.push({
        path,
        message: 'The webhook has no address.',
        remedy: 'Write {webhook: {url: https://…}}.',
      })
    else if (!/^https:\/\//i.test(url))
      problems.push({ path, message: 'Only https addresses are called.', remedy: 'Write https://…' })
  })
  return problems
}

/** @param known keys of the templates there are; undefined: not checked */
export function templateProblems(
  definition: WorkflowDefinition,
  known: readonly string[] | undefined,
): WorkflowProblem[] {
  if (known === undefined) return []
  return definition.steps.flatMap((step, index) => {
    if (typeof step !== 'string' && 'wait' in step) return []
    const [type, { template }] = stepOf(step)
    if (template === undefined || known.includes(template)) return []
    return [
      {
        path: `steps.${index}.${type}.template`,
        message: `There is no template "${template}".`,
        remedy: `Create it first${known.length === 0 ? '' : `, or use one of ${known.slice(0, 10).join(', ')}`}.`,
      },
    ]
  })
}

function* textsIn(value: unknown, path: string): Generator<{ path: string; text: string }> {
  if (typeof value === 'string') yield { path, text: value }
  if (typeof value !== 'object' || value === null) return
  for (const [name, part] of Object.entries(value))
    yield* textsIn(part, path === '' ? name : `${path}.${name}`)
}
