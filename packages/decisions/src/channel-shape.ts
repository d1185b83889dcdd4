import { CHANNEL_OPTIONS, type Channel, ContentSchema } from '@carillon/contracts'
import type { IsStep, WorkflowProblem } from './shape-problems.js'

const JSON_OBJECT = 'Write an object, with Liquid in its texts.'
/** What to write in an option or a text of another form. */
const REMEDIES: Readonly<Record<string, string>> = {
  maxAttempts: 'Write a number from 1 to 10.',
  priority: 'Write high or normal.',
  ttl: 'Write a duration like 30s or 1h; 0s is now or never.',
  badge: 'Write unread, none or a number from 0 to 99999.',
  interruption: 'Write passive, active, time-sensitive or critical.',
  relevanceScore: 'Write a number from 0 to 1.',
  liveActivity:
    'Write {id: …, event: start, update or end, contentState: {…}}; also attributesType, attributes, staleAfter, dismissAfter.',
  actions:
    'Write a list of at most five {id: …, title: …, url: …}; an id is 1 to 64 of letters, digits, - and _.',
  data: 'Write an object of at most 50 keys; a key is 1 to 64 of letters, digits, -, _ and dots.',
  messages: 'Write ICU messages by key.',
}
const YES_OR_NO = new Set(['silent', 'dataOnly', 'unlessOnline', 'unlessSeen', 'clearWhenSeen'])

/**
 * What is wrong with the options of a channel step that isn't one: the first option, or field of its content, that
 * doesn't belong there or has another form. Undefined when each of them would do alone.
 */
export function channelShapeProblem(
  type: Channel,
  options: unknown,
  { path, isStep }: { path: string; isStep: IsStep },
): WorkflowProblem | undefined {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) return undefined
  const known = namesOf(type)
  for (const [name, value] of Object.entries(options)) {
    const at = `${path}.${name}`
    if (!known.includes(name)) return strangeOption(type, name, at)
    if (isStep({ [type]: { [name]: value } })) continue
    const inside = name === 'content' ? contentProblem(type, value, { path: at, isStep }) : undefined
    return inside ?? { path: at, message: `"${name}" has another form.`, remedy: remedyOf(name, type) }
  }
  return undefined
}

function strangeOption(type: Channel, name: string, path: string): WorkflowProblem {
  const others = (Object.keys(CHANNEL_OPTIONS) as Channel[]).filter((one) => namesOf(one).includes(name))
  if (others.length === 0) {
    const remedy = `Its options are ${namesOf(type).join(', ')}.`
    return { path, message: `${type} has no option "${name}".`, remedy }
  }
  const whose = others.join(' and ')
  return {
    path,
    message: `"${name}" is an option of ${whose}, and ${type} has nothing like it.`,
    remedy: `Remove it, or write it in a step of ${whose}.`,
  }
}

function contentProblem(
  type: Channel,
  content: unknown,
  { path, isStep }: { path: string; isStep: IsStep },
): WorkflowProblem | undefined {
  if (typeof content !== 'object' || content === null || Array.isArray(content)) return undefined
  for (const [name, value] of Object.entries(content)) {
    if (isStep({ [type]: { content: { [name]: value } } })) continue
    const at = `${path}.${name}`
    if (Object.hasOwn(ContentSchema.properties, name))
      return { path: at, message: `"${name}" has another form.`, remedy: remedyOf(name, type) }
    const remedy = `Texts are ${Object.keys(ContentSchema.properties).join(', ')}.`
    return { path: at, message: `Content has no "${name}".`, remedy }
  }
  return undefined
}

function remedyOf(name: string, type: Channel): string {
  if (YES_OR_NO.has(name)) return 'Write true or false.'
  if (name === 'content') return `Texts are ${Object.keys(ContentSchema.properties).join(', ')}.`
  if (name === 'overrides') return `Those of ${type} are for ${providersOf(type)}. ${JSON_OBJECT}`
  return REMEDIES[name] ?? 'Write a text.'
}

function namesOf(type: Channel): string[] {
  return Object.keys(CHANNEL_OPTIONS[type].properties)
}

function providersOf(type: Channel): string {
  const { overrides } = CHANNEL_OPTIONS[type].properties as { overrides?: { properties: object } }
  return Object.keys(overrides?.properties ?? {}).join(', ')
}
