import { ContractError, type DomainEvent, isChannel, isLane } from '@carillon/contracts'
import {
  type CompiledWorkflow,
  createCelCompiler,
  type Group,
  type RecipientSelection,
  recipientsOf,
  selectionOf,
  type WorkflowOutcome,
} from '@carillon/decisions'
import { type DirectWorkflows, shapeOfContent } from './direct-workflows.js'
import type { TenantRules } from './rules.js'

/** Events that the gateway makes of `POST /v1/workflows/:key/trigger` and `POST /v1/notifications`. */
export const TRIGGER_TYPE = 'carillon.trigger.v1'
export const NOTIFICATION_TYPE = 'carillon.notification.v1'

/** One workflow that applies to an event, and whom it wants to tell. */
export interface Assignment {
  workflow: CompiledWorkflow
  /** The event as the workflow sees it: a trigger's own data stands in `data`. */
  event: DomainEvent
  recipients: RecipientSelection
}

export interface Assigned {
  assignments: Assignment[]
  /** Per workflow that listens to the type: matched or why not. Stored with the event. */
  outcomes: WorkflowOutcome[]
}

/** Whom a workflow wants to tell of an event as it came, judged once more. @throws ContractError as `assign` */
export function selectionFor(event: DomainEvent, workflow: CompiledWorkflow): RecipientSelection {
  if (event.type === NOTIFICATION_TYPE) return selection(record(event.data, 'data').to)
  if (event.type !== TRIGGER_TYPE) return recipientsOf(event, workflow)
  const body = record(event.data, 'data')
  return selection(body.to, body.excludeActor === true ? body.actor : undefined)
}

/**
 * Which workflows an event begins, and for whom. Pure.
 * @throws ContractError when a trigger or a direct notification can't be understood
 */
export function assign(event: DomainEvent, rules: TenantRules, direct: DirectWorkflows): Assigned {
  if (event.type === TRIGGER_TYPE) return assignTrigger(event, rules)
  if (event.type === NOTIFICATION_TYPE) return assignDirect(event, direct)
  const { matched, outcomes } = rules.match(event)
  return {
    outcomes,
    assignments: matched.map((workflow) => ({ workflow, event, recipients: recipientsOf(event, workflow) })),
  }
}

function assignTrigger(event: DomainEvent, rules: TenantRules): Assigned {
  const body = record(event.data, 'data')
  const workflow = rules.workflows.get(String(body.workflow))
  if (workflow === undefined) {
    throw new ContractError(
      'EVENT_INVALID',
      `There is no published workflow "${String(body.workflow).slice(0, 64)}".`,
      'data.workflow',
    )
  }
  return {
    outcomes: [{ workflow: workflow.key, version: workflow.version, matched: true }],
    assignments: [
      {
        workflow,
        event: asWorkflowSees(event),
        recipients: selection(body.to, body.excludeActor === true ? body.actor : undefined),
      },
    ],
  }
}

/**
 * An event as its workflow sees it: the data of a trigger stands in `data`, and what an app gets along with a direct
 * notification under `data.notification`, as in every other event.
 */
export function asWorkflowSees(event: DomainEvent): DomainEvent {
  if (event.type === TRIGGER_TYPE) return { ...event, data: record(event.data, 'data').data ?? {} }
  if (event.type !== NOTIFICATION_TYPE) return event
  const body = record(event.data, 'data')
  return body.data === undefined ? event : { ...event, data: { ...body, notification: body.data } }
}

function assignDirect(event: DomainEvent, direct: DirectWorkflows): Assigned {
  const workflow = directWorkflow(event, direct)
  return {
    outcomes: [{ workflow: workflow.key, version: workflow.version, matched: true }],
    assignments: [
      { workflow, event: asWorkflowSees(event), recipients: selection(record(event.data, 'data').to) },
    ],
  }
}

/**
 * The one-off workflow of a direct notification.
 * @throws ContractError when it can't be understood
 */
export function directWorkflow(event: DomainEvent, direct: DirectWorkflows): CompiledWorkflow {
  const body = record(event.data, 'data')
  const content = record(body.content, 'data.content')
  const channels = Array.isArray(body.channels) && body.channels.length > 0 ? body.channels : ['inbox']
  if (!channels.every(isChannel)) {
    throw new ContractError(
      'EVENT_INVALID',
      'channels may hold inbox, push, email, sms and webhook.',
      'data.channels',
    )
  }
  return direct.of({
    channels,
    ...shapeOfContent(content, body.push),
    ...(typeof body.category === 'string' ? { category: body.category } : {}),
    ...(isLane(body.lane) ? { lane: body.lane } : {}),
    ...(typeof body.expires === 'string' ? { expires: body.expires } : {}),
  })
}

/** `to` of a trigger or a direct notification: ids, recipients given inline, groups. */
function selection(to: unknown, actor?: unknown): RecipientSelection {
  const excluded = new Set(typeof actor === 'string' ? [actor] : [])
  const list = (Array.isArray(to) ? to : [to]).filter((entry) => !isSegment(entry))
  const chosen = selectionOf(list, excluded)
  for (const entry of Array.isArray(to) ? to : [to]) {
    if (isSegment(entry)) chosen.groups.push(segmentOf(entry.segment))
  }
  if (chosen.users.length + chosen.groups.length > 0 || excluded.size > 0) return chosen
  throw new ContractError(
    'EVENT_INVALID',
    'A recipient is a user id, an object with an id, or {role}, {topic}, {segment} or {everyone: true}.',
    'data.to',
  )
}

function isSegment(entry: unknown): entry is { segment: string } {
  const segment = (entry as { segment?: unknown } | null)?.segment
  return typeof segment === 'string' && segment !== ''
}

function segmentOf(segment: string): Group {
  const compiled = createCelCompiler().compile(segment, 'person')
  if (!compiled.ok)
    throw new ContractError('EVENT_INVALID', `${segment}: ${compiled.problem}`, 'data.to.segment')
  return { kind: 'segment', segment, holds: compiled.expression }
}

function record(value: unknown, field: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ContractError('EVENT_INVALID', `"${field}" must be an object.`, field)
  }
  return value as Record<string, unknown>
}
