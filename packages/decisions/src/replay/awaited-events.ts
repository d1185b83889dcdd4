import type { DomainEvent } from '@carillon/contracts'
import { createCelCompiler, type Expression } from '../cel.js'
import type { CompiledWorkflow } from '../compile.js'
import type { Facts } from '../facts.js'
import { keyOf } from '../keys.js'
import { celScope } from '../scope.js'
import { awaitedBy } from '../steps.js'
import type { ReplayRun } from './run.js'

type Came = NonNullable<Facts['awaited']> & { event: DomainEvent }

/** Events that runs wait for, by their key. */
export interface AwaitedEvents {
  /** Keeps an event that some workflow waits for. Gives the runs that it meets. */
  came(event: DomainEvent, at: number): ReplayRun[]
  /** What a run waits for from now on; gives the event when it has come since the run began. */
  await(run: ReplayRun): Facts['awaited']
  done(run: ReplayRun): void
  /** No run that is still to be judged began before that. */
  forgetBefore(at: number): void
}

export function createAwaitedEvents(workflows: readonly CompiledWorkflow[]): AwaitedEvents {
  const types = awaitedTypes(workflows)
  const kept = new Map<string, Came[]>()
  const waiting = new Map<string, Set<ReplayRun>>()
  const nameOf = (run: ReplayRun): string | undefined => {
    const { awaits } = run.plan
    return awaits === undefined ? undefined : `${awaits.type} ${awaits.expression} ${awaits.key}`
  }
  return {
    came(event, at) {
      const scope = celScope(event)
      return (types.get(event.type) ?? []).flatMap(({ expression, told }) => {
        const key = keyOf(told, scope)
        if (key === undefined) return []
        const name = `${event.type} ${expression} ${key}`
        const came = { type: event.type, key, data: event.data, at, event }
        kept.set(name, [...(kept.get(name) ?? []), came])
        return [...(waiting.get(name) ?? [])].filter((run) => {
          if (run.event === event) return false
          run.awaited = came
          return true
        })
      })
    },
    await(run) {
      const name = nameOf(run)
      if (name === undefined) return undefined
      const found = kept.get(name)?.find(({ at, event }) => at >= run.begunAt && event !== run.event)
      if (found !== undefined) return found
      waiting.set(name, (waiting.get(name) ?? new Set()).add(run))
      return undefined
    },
    done(run) {
      const name = nameOf(run)
      const others = name === undefined ? undefined : waiting.get(name)
      if (others === undefined) return
      others.delete(run)
      if (others.size === 0) waiting.delete(name as string)
    },
    forgetBefore(before) {
      for (const [name, came] of kept) {
        const left = came.filter(({ at }) => at >= before)
        if (left.length === 0) kept.delete(name)
        else kept.set(name, left)
      }
    },
  }
}

function awaitedTypes(
  workflows: readonly CompiledWorkflow[],
): Map<string, { expression: string; told: Expression }[]> {
  const cel = createCelCompiler()
  const types = new Map<string, { expression: string; told: Expression }[]>()
  for (const { type, expression } of workflows.flatMap(({ definition }) => awaitedBy(definition))) {
    const compiled = cel.compile(expression)
    if (!compiled.ok) continue
    const told = types.get(type) ?? []
    if (!told.some((one) => one.expression === expression))
      told.push({ expression, told: compiled.expression })
    types.set(type, told)
  }
  return types
}
