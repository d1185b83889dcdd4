import type { DomainEvent } from '@carillon/contracts'
import { celScope, keyOf } from '@carillon/decisions'
import type { AwaitRow, SignalRow } from '@carillon/postgres'
import type { TenantRules } from './rules.js'
import type { Settling } from './settling.js'

/** What an event is to those who may wait for it: one signal for each way in which its key is told. */
export function signalsOf(
  entry: { event: DomainEvent; rowId: string; firstSeenMs: number },
  rules: TenantRules,
): SignalRow[] {
  const { event, rowId, firstSeenMs } = entry
  const awaited = rules.awaited.get(event.type)
  if (awaited === undefined) return []
  const scope = celScope(event)
  return awaited.flatMap(({ expression, key: told }) => {
    const key = keyOf(told, scope)
    if (key === undefined) return []
    return [{ tenant: event.tenant, type: event.type, expression, key, eventId: rowId, firstSeenMs }]
  })
}

/** What the runs of a pass wait for from now on. What came since they began counts. */
export function awaitsOf(runs: readonly Settling[]): AwaitRow[] {
  return runs.flatMap(({ runId, rules, plan, input }) =>
    plan.awaits === undefined || input === undefined
      ? []
      : [{ runId, tenant: rules.tenant, ...plan.awaits, sinceMs: input.begunAt ?? input.now }],
  )
}
