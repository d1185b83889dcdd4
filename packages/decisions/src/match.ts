import type { DomainEvent, Reason } from '@carillon/contracts'
import { conditionProblem } from './cel.js'
import type { CompiledWorkflow } from './compile.js'
import { type CelScope, celScope } from './scope.js'

/** What became of one workflow for one event. */
export interface WorkflowOutcome {
  workflow: string
  version: number
  matched: boolean
  reason?: Reason
  detail?: string
}

/** Which workflows an event begins; outcomes name every workflow that listens to its type. */
export type Matcher = (event: DomainEvent) => { matched: CompiledWorkflow[]; outcomes: WorkflowOutcome[] }

/** Indexes workflows by event type. A trailing `.*` in `on` listens to every type below it. */
export function createMatcher(workflows: readonly CompiledWorkflow[]): Matcher {
  const exact = new Map<string, CompiledWorkflow[]>()
  const prefixes: { prefix: string; workflow: CompiledWorkflow }[] = []
  for (const workflow of workflows) {
    for (const type of new Set(workflow.types)) {
      if (type.endsWith('.*')) prefixes.push({ prefix: type.slice(0, -1), workflow })
      else exact.set(type, [...(exact.get(type) ?? []), workflow])
    }
  }
  const listening = (type: string): CompiledWorkflow[] => {
    const direct = exact.get(type) ?? []
    if (prefixes.length === 0) return direct
    const wide = prefixes.filter(({ prefix }) => type.startsWith(prefix)).map(({ workflow }) => workflow)
    return wide.length === 0 ? direct : [...new Set([...direct, ...wide])]
  }
  return (event) => {
    const scope = celScope(event)
    const matched: CompiledWorkflow[] = []
    const outcomes: WorkflowOutcome[] = []
    for (const workflow of listening(event.type)) {
      const outcome = judgeCondition(scope, workflow)
      outcomes.push(outcome)
      if (outcome.matched) matched.push(workflow)
    }
    return { matched, outcomes }
  }
}

/** Why one workflow did or did not match an event, computed on demand, for events it never listened to as well. */
export function matchExplain(event: DomainEvent, workflow: CompiledWorkflow): WorkflowOutcome {
  const listens = workflow.types.some((type) =>
    type.endsWith('.*') ? event.type.startsWith(type.slice(0, -1)) : type === event.type,
  )
  if (listens) return judgeCondition(celScope(event), workflow)
  return {
    workflow: workflow.key,
    version: workflow.version,
    matched: false,
    reason: 'NO_MATCH',
    detail: `it listens to ${workflow.types.join(', ')}, not to ${event.type}`,
  }
}

function judgeCondition(scope: CelScope, workflow: CompiledWorkflow): WorkflowOutcome {
  const { key, version, condition } = workflow
  const problem = condition === undefined ? undefined : conditionProblem(condition(scope))
  if (problem === undefined) return { workflow: key, version, matched: true }
  return {
    workflow: key,
    version,
    matched: false,
    reason: 'CONDITION_FALSE',
    detail: `the condition ${workflow.definition.if} ${problem}`,
  }
}
