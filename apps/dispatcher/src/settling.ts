import { type CompiledWorkflow, judgeOrFail, type Plan, type PlanInput } from '@carillon/decisions'
import type { TenantRules } from './rules.js'

/** A run under judgement: what it is judged from, and what was decided so far. */
export interface Settling {
  runId: string
  /** Row id of the event. */
  eventRow: string
  userId: string
  recipient: string
  rules: TenantRules
  workflow: CompiledWorkflow
  /** Undefined when there is nothing to judge: an unknown recipient, a version that is gone. */
  input: PlanInput | undefined
  plan: Plan
  /** True when something has gone out beyond the inbox before: caps count a run once. */
  countedBefore: boolean
  /** The digest that it went into. */
  digestId: string | null
  /** Its place among the items there, from 1. */
  digestPlace: number | null
  /** Why the event becomes a dead letter besides its failed run. */
  problem?: string
}

/** Judges, or makes the run a failed one, whose event becomes a dead letter. */
export function judgeInto(run: Settling, judge: () => Plan): void {
  const judged = judgeOrFail(run.input as PlanInput, judge)
  run.plan = judged.plan
  if (judged.problem !== undefined) run.problem = `workflow "${run.workflow.key}": ${judged.problem}`
}
