import {
  type Counter,
  type CountInput,
  counterName,
  countersOf,
  type PlanInput,
  settleCounters,
} from '@carillon/decisions'
import { type CounterKey, lockCounters, type Tx, writeCounters } from '@carillon/postgres'
import { judgeInto, type Settling } from './settling.js'

interface Person {
  tenant: string
  userId: string
  /** By name, as they stand now. */
  counts: Map<string, number>
}

/**
 * Judges runs against the counters of throttles and caps, one after the other, and counts what goes out. The counters
 * stay locked until the transaction commits.
 */
export async function count(tx: Tx, runs: readonly Settling[]): Promise<void> {
  const counted: { run: Settling; counting: CountInput; counters: Counter[] }[] = []
  for (const run of runs) {
    const { caps } = run.rules
    // most runs have nothing to count: they cost a look
    if (caps.length === 0 && run.plan.throttles === undefined && run.workflow.definition.cap === undefined)
      continue
    const counting: CountInput = {
      input: run.input as PlanInput,
      plan: run.plan,
      tenantCaps: caps,
      countedBefore: run.countedBefore,
    }
    const counters = countersOf(counting)
    if (counters.length > 0) counted.push({ run, counting, counters })
  }
  if (counted.length === 0) return
  const keys = new Map<string, CounterKey>()
  for (const { run, counters } of counted) {
    const { tenant } = run.rules
    for (const counter of counters)
      keys.set(`${run.userId} ${counterName(counter)}`, { ...counter, tenant, userId: run.userId })
  }
  const list = [...keys.values()]
  const before = await lockCounters(tx, list)
  const people = new Map<string, Person>()
  list.forEach(({ tenant, userId, ...counter }, index) => {
    const person = people.get(userId) ?? { tenant, userId, counts: new Map() }
    people.set(userId, person)
    person.counts.set(counterName(counter), before[index] ?? 0)
  })
  for (const { run, counting } of counted) {
    const { counts } = people.get(run.userId) as Person
    judgeInto(run, () => settleCounters(counting, counts))
  }
  const changed = list
    .map((key) => ({ ...key, count: people.get(key.userId)?.counts.get(counterName(key)) ?? 0 }))
    .filter((counter, index) => counter.count !== before[index])
  await writeCounters(tx, changed)
}
