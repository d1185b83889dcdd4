import type { DomainEvent } from '@carillon/contracts'
import type { CompiledWorkflow } from '../compile.js'
import type { WorkflowOutcome } from '../match.js'
import { type RecipientSelection, selectionOf } from '../recipients.js'

/** The event that starts one workflow by its key. */
const TRIGGER_TYPE = 'carillon.trigger.v1'

/** What a trigger starts, for whom, and the event as its workflow sees it; undefined for every other event. */
export function triggered(
  event: DomainEvent,
  workflows: ReadonlyMap<string, CompiledWorkflow>,
):
  | {
      matched: CompiledWorkflow[]
      outcomes: WorkflowOutcome[]
      recipients: RecipientSelection
      event: DomainEvent
    }
  | undefined {
  if (event.type !== TRIGGER_TYPE) return undefined
  const {
    workflow: key,
    to,
    data = {},
  } = (event.data ?? {}) as { workflow?: unknown; to?: unknown; data?: unknown }
  const workflow = workflows.get(String(key))
  return {
    matched: workflow === undefined ? [] : [workflow],
    outcomes:
      workflow === undefined ? [] : [{ workflow: workflow.key, version: workflow.version, matched: true }],
    recipients: selectionOf(to),
    event: { ...event, data },
  }
}
