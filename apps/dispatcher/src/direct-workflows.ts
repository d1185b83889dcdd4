import { createHash } from 'node:crypto'
import { type Channel, ContractError, DirectPushSchema, type Lane, MAX_ACTIONS } from '@carillon/contracts'
import { type CompiledWorkflow, compileWorkflow, createWorkflowValidator } from '@carillon/decisions'

/** Compiled one-off workflows of direct notifications, by their shape. */
export interface DirectWorkflows {
  /** @throws ContractError when it can't be understood */
  of(shape: DirectShape): CompiledWorkflow
}

/** Everything of a direct notification but its words. */
export interface DirectShape {
  channels: Channel[]
  /** Names of its texts. */
  fields: string[]
  actions?: { id: string; hasUrl: boolean }[]
  push?: Record<string, unknown>
  category?: string
  lane?: Lane
  expires?: string
}

/** Shapes kept compiled: combinations of channels, fields, category and lane that callers really use. */
const KEPT_SHAPES = 1_000
const FIELDS = ['title', 'subtitle', 'body', 'url', 'imageUrl', 'subject', 'html', 'replyTo'] as const
/** Options of a push that are words of the sender. */
const PUSH_TEXTS: ReadonlySet<string> = new Set(['sound', 'channelId', 'threadId', 'analyticsLabel'])

/** The texts of a direct notification are data, not templates: nothing in them is evaluated. */
export function createDirectWorkflows(): DirectWorkflows {
  const known = new Map<string, CompiledWorkflow>()
  const validate = createWorkflowValidator()
  return {
    of(shape) {
      const name = createHash('sha256').update(JSON.stringify(shape)).digest('base64url')
      const compiled = known.get(name)
      if (compiled !== undefined) return compiled
      const checked = validate(workflowOf(shape))
      if (!checked.ok) {
        const first = checked.problems[0]
        throw new ContractError(
          'EVENT_INVALID',
          `${first?.message ?? 'The notification is not valid.'} ${first?.remedy ?? ''}`,
          first?.path,
        )
      }
      const made = compileWorkflow(checked.definition, { version: 1 })
      if (known.size >= KEPT_SHAPES) known.delete(known.keys().next().value as string)
      known.set(name, made)
      return made
    },
  }
}

/**
 * What a direct notification says, without its words.
 * @throws ContractError for buttons and options that aren't any
 */
export function shapeOfContent(
  content: Record<string, unknown>,
  push: unknown,
): Pick<DirectShape, 'fields' | 'actions' | 'push'> {
  return {
    fields: FIELDS.filter((field) => typeof content[field] === 'string'),
    ...(content.actions === undefined ? {} : { actions: actionsOf(content.actions) }),
    ...(push === undefined ? {} : { push: pushOf(push) }),
  }
}

function workflowOf({ channels, fields, actions, push = {}, ...rest }: DirectShape): object {
  const options = Object.entries(push).map(([name, value]) => {
    if (PUSH_TEXTS.has(name)) return [name, `{{ data.push.${name} }}`]
    return [name, name === 'collapseKey' ? 'data.push.collapseKey' : value]
  })
  return {
    key: 'direct',
    on: 'direct',
    to: 'data.to',
    ...rest,
    content: {
      ...Object.fromEntries(fields.map((field) => [field, textOf(field)])),
      ...(actions === undefined ? {} : { actions: actions.map(actionText) }),
    },
    steps: channels.map((channel) =>
      channel === 'push' && options.length > 0 ? { push: Object.fromEntries(options) } : channel,
    ),
  }
}

/** The sender's own HTML is HTML; everything else is text. */
function textOf(field: string): string {
  return field === 'html' ? '{{ data.content.html | raw }}' : `{{ data.content.${field} }}`
}

function actionText({ id, hasUrl }: { id: string; hasUrl: boolean }, place: number): object {
  const action = `data.content.actions[${place}]`
  return { id, title: `{{ ${action}.title }}`, ...(hasUrl ? { url: `{{ ${action}.url }}` } : {}) }
}

function actionsOf(written: unknown): { id: string; hasUrl: boolean }[] {
  const wrong = () =>
    new ContractError(
      'EVENT_INVALID',
      `Actions are a list of at most ${MAX_ACTIONS} {id, title, url}.`,
      'data.content.actions',
    )
  if (!Array.isArray(written) || written.length > MAX_ACTIONS) throw wrong()
  return written.map((action: unknown) => {
    const { id, title, url } = (action ?? {}) as Record<string, unknown>
    if (typeof id !== 'string' || typeof title !== 'string') throw wrong()
    return { id, hasUrl: typeof url === 'string' }
  })
}

function pushOf(written: unknown): Record<string, unknown> {
  if (typeof written !== 'object' || written === null || Array.isArray(written))
    throw new ContractError('EVENT_INVALID', '"push" must be an object.', 'data.push')
  const push: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(written)) {
    if (!Object.hasOwn(DirectPushSchema.properties, name)) {
      const known = Object.keys(DirectPushSchema.properties).join(', ')
      throw new ContractError('EVENT_INVALID', `push may hold ${known}.`, `data.push.${name}`)
    }
    if ((PUSH_TEXTS.has(name) || name === 'collapseKey') && typeof value !== 'string')
      throw new ContractError('EVENT_INVALID', `"${name}" must be a text.`, `data.push.${name}`)
    // words are no part of the shape
    push[name] = PUSH_TEXTS.has(name) || name === 'collapseKey' ? '' : value
  }
  return push
}
