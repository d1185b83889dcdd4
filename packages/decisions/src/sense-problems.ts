import type { WorkflowDefinition } from '@carillon/contracts'
import type { WorkflowProblem } from './shape-problems.js'
import { channelStepOf, everyStep } from './steps.js'
import { isStorable } from './storable.js'
import type { Templates } from './templates.js'

const LOCALE = /^[a-z]{2,3}(-[a-z0-9]{2,8})*$/i

/** Words that the schema lets through and that would never fit: event types, locales, characters that can't be kept. */
export function wordProblems(definition: WorkflowDefinition): WorkflowProblem[] {
  const problems: WorkflowProblem[] = []
  const types = Array.isArray(definition.on) ? definition.on : [definition.on]
  for (const type of types) {
    if (type.startsWith('carillon.')) {
      problems.push({
        path: 'on',
        message: `"${type}" is an event of Carillon's own.`,
        remedy: 'Events whose type begins with "carillon." begin no workflow: one would begin itself.',
      })
    } else if (type.replace(/\.\*$/, '').includes('*') || type.trim() !== type) {
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

export function contentProblems(definition: WorkflowDefinition): WorkflowProblem[] {
  const problems: WorkflowProblem[] = []
  const says = (text: string | undefined): boolean => text !== undefined && text.trim() !== ''
  const shared = says(definition.content?.title) || says(definition.content?.body)
  for (const { step, path: at } of everyStep(definition.steps)) {
    const channel = channelStepOf(step)
    if (channel === undefined) continue
    const { type, options } = channel
    const { content, template, url } = options
    const own = says(content?.title) || says(content?.body) || (type === 'email' && says(content?.html))
    // wakes the app, or changes what is on the screen already
    const wordless = options.silent === true || options.liveActivity !== undefined
    if (wordless) continue
    if (type !== 'webhook' && !shared && !own && template === undefined) {
      problems.push({
        path: `${at}.${type}`,
        message: `${type} has nothing to say.`,
        remedy: 'Give the workflow `content` with a title or a body.',
      })
    }
    if (type !== 'webhook') continue
    const path = `${at}.webhook.url`
    if (url === undefined)
      problems.push({
        path,
        message: 'The webhook has no address.',
        remedy: 'Write {webhook: {url: https://…}}.',
      })
    else if (!/^https:\/\//i.test(url))
      problems.push({ path, message: 'Only https addresses are called.', remedy: 'Write https://…' })
  }
  return problems
}

/** @param templates undefined: not checked */
export function templateProblems(
  definition: WorkflowDefinition,
  templates: Templates | undefined,
): WorkflowProblem[] {
  if (templates === undefined) return []
  const known = Object.keys(templates.contents)
  return [...everyStep(definition.steps)].flatMap(({ step, path }) => {
    const channel = channelStepOf(step)
    const template = channel?.options.template
    if (template === undefined || known.includes(template)) return []
    return [
      {
        path: `${path}.${channel?.type}.template`,
        message: `There is no template "${template}".`,
        remedy: `Create it first${known.length === 0 ? '' : `, or use one of ${known.slice(0, 10).join(', ')}`}.`,
      },
    ]
  })
}

function* textsIn(value: unknown, path: string): Generator<{ path: string; text: string }> {
  if (typeof value === 'string') yield { path, text: value }
  if (typeof value !== 'object' || value === null) return
  for (const [name, part] of Object.entries(value)) {
    const at = path === '' ? name : `${path}.${name}`
    yield { path: at, text: name }
    yield* textsIn(part, at)
  }
}
