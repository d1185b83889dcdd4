import type { Reason } from '@carillon/contracts'
import type { ExplainedReason, Explanation } from './explain.js'
import { counted, iso, listed, sentence } from './explain-words.js'

/** What one workflow did with an event for one person. */
export interface WorkflowStory {
  key: string
  version: number
  /** `not yet`: a run waits, or a delivery is still on its way. */
  outcome: 'told' | 'not told' | 'not yet'
  reason?: Reason
  /** One sentence without a stop; for a workflow with runs: what became of them. */
  detail: string
  /** Not stored, but computed when asked, from what `basis` says. */
  computed?: true
  basis?: string
  runs: readonly (Explanation & { id: string })[]
}

export interface EventStoryInput {
  event: { type: string; id: string; source: string; seenAt: number }
  user: string
  /** Whether the directory knows the person today. */
  known: boolean
  /** Whom the event named, when the person isn't known. */
  named?: readonly string[]
  /** Why it could not be processed: it stands among the dead letters. */
  problem?: string
  workflows: readonly WorkflowStory[]
  /** Workflows that were in force and listen to other types. */
  others: number
}

/** What stands on the kept event and the version of then is labelled with this. */
export const BASIS = 'the kept event and the version of then; roles, topics and attributes are those of today'

/** Why somebody heard of an event, or didn't: one paragraph, and what happened in order. Pure. */
export function explainEvent(input: EventStoryInput): Explanation {
  const { event, user, workflows, problem } = input
  const arrived: ExplainedReason = {
    at: event.seenAt,
    what: `the event ${event.type} (${event.id}) arrived from ${event.source}`,
    why: `it was accepted and first seen at ${iso(event.seenAt)}`,
  }
  const unmet = workflows.filter(({ runs }) => runs.length === 0).map((story) => withoutRun(story, input))
  const dead = problem === undefined ? [] : [deadLetter(problem, event.seenAt)]
  const parts = [
    sentence(`The event ${event.type} (${event.id}) arrived from ${event.source} at ${iso(event.seenAt)}`),
    sentence(verdict(input)),
    ...dead.map(({ what, why }) => sentence(`${what}: ${why}`)),
    ...(input.known ? [] : [sentence(unknown(input))]),
    ...workflows.flatMap(({ runs }) => runs.map(({ text }) => text)),
    ...unmet.map(({ what, why }) => sentence(`${what}: ${why}`)),
    ...(workflows.some(({ computed }) => computed)
      ? [sentence(`Why ${user} was not meant is computed now, from ${BASIS}`)]
      : []),
    ...(input.others === 0 ? [] : [sentence(othersText(input))]),
  ]
  const told = workflows.flatMap(({ runs }) => runs.flatMap(({ reasons }) => reasons))
  const rest = [...dead, ...told, ...unmet]
    .map((reason, index) => ({ reason, index }))
    .sort((a, b) => a.reason.at - b.reason.at || a.index - b.index)
    .map(({ reason }) => reason)
  return { text: parts.join(' '), reasons: [arrived, ...rest] }
}

function verdict({ user, workflows, problem }: EventStoryInput): string {
  const keys = (outcome: WorkflowStory['outcome']) =>
    workflows.filter((story) => story.outcome === outcome).map(({ key }) => key)
  const told = keys('told')
  const pending = keys('not yet')
  const yet =
    pending.length === 0
      ? ''
      : `; ${listed(pending)} ${pending.length === 1 ? 'has' : 'have'} not told ${user} yet`
  if (told.length > 0) return `It told ${user} through ${workflowsText(told)}${yet}`
  if (pending.length > 0) return `It has not told ${user} yet: ${workflowsText(pending)} is not done`
  if (workflows.length === 0 && problem === undefined)
    return `It told ${user} nothing: no workflow that was in force listened to its type`
  return `It told ${user} nothing`
}

function workflowsText(keys: readonly string[]): string {
  return `workflow${keys.length === 1 ? '' : 's'} ${listed(keys)}`
}

function withoutRun(
  { key, version, detail, reason }: WorkflowStory,
  { event, user }: EventStoryInput,
): ExplainedReason {
  const matched = reason !== 'NO_MATCH' && reason !== 'CONDITION_FALSE'
  return {
    at: event.seenAt,
    what: matched
      ? `workflow "${key}" version ${version} matched, but not for ${user}`
      : `workflow "${key}" version ${version} listened and did not match`,
    why: detail,
    ...(reason === undefined ? {} : { reason }),
  }
}

function deadLetter(problem: string, at: number): ExplainedReason {
  return {
    at,
    what: 'it could not be processed as it is, and stands among the dead letters',
    why: problem,
    reason: 'PAYLOAD_INVALID',
  }
}

function unknown({ user, named = [] }: EventStoryInput): string {
  const who = named.length === 0 ? 'The event names no user' : `The event names ${listed(named)}`
  return `No user "${user}" is known to the directory today. ${who}`
}

function othersText({ workflows, others, event }: EventStoryInput): string {
  const more = workflows.length === 0 ? '' : 'other '
  return `${counted(others, `${more}workflow`)} that ${others === 1 ? 'was' : 'were'} in force then ${others === 1 ? 'listens' : 'listen'} to other types than ${event.type}`
}
