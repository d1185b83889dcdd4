import type { Channel, ChannelOptions, WorkflowDefinition } from '@carillon/contracts'
import type { WorkflowProblem } from './shape-problems.js'
import { channelStepOf, everyStep } from './steps.js'
import { hasLiquid } from './texts.js'

type Wrong = Omit<WorkflowProblem, 'path'> & { option: string }

/** Options that the schema lets through and that can't be together, or that a device would ignore without a word. */
export function optionProblems(definition: WorkflowDefinition): WorkflowProblem[] {
  const problems: WorkflowProblem[] = []
  for (const { step, path } of everyStep(definition.steps)) {
    const channel = channelStepOf(step)
    if (channel === undefined) continue
    const { type, options } = channel
    for (const { option, ...wrong } of [...silentProblems(options), ...activityProblems(options, definition)])
      problems.push({ path: `${path}.${type}.${option}`, ...wrong })
    problems.push(...replyToProblems(type, options, path))
  }
  const { content, locales = {} } = definition
  for (const [at, texts] of [['content', content] as const, ...Object.entries(locales)])
    if (isNoAddress(texts?.replyTo))
      problems.push(noAddress(at === 'content' ? 'content.replyTo' : `locales.${at}.replyTo`))
  return problems
}

function silentProblems(options: ChannelOptions): Wrong[] {
  if (options.silent !== true) return []
  return (['sound', 'interruption', 'dataOnly'] as const)
    .filter((option) => options[option] !== undefined && options[option] !== false)
    .map((option) => ({
      option,
      message: `A silent push shows nothing, so that "${option}" says nothing.`,
      remedy: `Remove ${option} or silent.`,
    }))
}

function activityProblems(
  { liveActivity, ...options }: ChannelOptions,
  definition: WorkflowDefinition,
): Wrong[] {
  if (liveActivity === undefined) return []
  const { event, attributesType, dismissAfter } = liveActivity
  const problems: Wrong[] = []
  if (event === 'start' && attributesType === undefined) {
    problems.push({
      option: 'liveActivity.attributesType',
      message: 'A Live Activity begins with the name of its type.',
      remedy: "Add attributesType: the name of the app's ActivityAttributes.",
    })
  }
  const title = options.content?.title ?? definition.content?.title
  if (event === 'start' && options.template === undefined && (title ?? '').trim() === '') {
    problems.push({
      option: 'liveActivity',
      message: 'iPhones begin no Live Activity without a title.',
      remedy: 'Give the step or the workflow `content` with a title.',
    })
  }
  if (dismissAfter !== undefined && event !== 'end') {
    problems.push({
      option: 'liveActivity.dismissAfter',
      message: 'Only what ends is dismissed.',
      remedy: 'Write it where event is end.',
    })
  }
  return problems
}

function replyToProblems(
  type: Channel,
  { replyTo, content }: ChannelOptions,
  path: string,
): WorkflowProblem[] {
  const problems: WorkflowProblem[] = []
  if (isNoAddress(replyTo)) problems.push(noAddress(`${path}.${type}.replyTo`))
  if (isNoAddress(content?.replyTo)) problems.push(noAddress(`${path}.${type}.content.replyTo`))
  return problems
}

function isNoAddress(text: string | undefined): boolean {
  return text !== undefined && text.trim() !== '' && !hasLiquid(text) && !text.includes('@')
}

function noAddress(path: string): WorkflowProblem {
  return { path, message: 'It is no mail address.', remedy: 'Write one, like help@example.com.' }
}
