import { type Channel, DELIVERY_CHANNELS, durationMs } from '@carillon/contracts'
import type { CapUsed } from './facts.js'
import { type Plan, type PlanInput, plan } from './plan.js'
import type { ThrottleStep } from './steps.js'

/** A tenant's cap on everything that reaches one person. */
export interface TenantCap {
  count: number
  /** A duration. */
  per: string
  /** Default: all beyond the inbox. */
  channels?: readonly Channel[] | undefined
}

/** One counter of one person, named by what it counts and the beginning of its window. */
export interface Counter {
  scope: string
  /** Milliseconds. */
  windowStart: number
  windowEnd: number
}

interface Limit {
  counter: Counter
  name: string
  count: number
}

interface CapLimit extends Limit {
  channels: readonly Channel[]
  detail: (used: number) => string
}

export interface CountInput {
  input: PlanInput
  /** What was planned before anything was counted. */
  plan: Plan
  tenantCaps: readonly TenantCap[]
  /** True when the run has been counted towards caps before: a run counts once. */
  countedBefore: boolean
}

const DAY_MS = 86_400_000

/** The counters that a plan may need: those of the throttles it passed, and of the caps on what it sends. */
export function countersOf(counting: CountInput): Counter[] {
  return [...throttlesOf(counting), ...capsOf(counting)].map(({ counter }) => counter)
}

export function counterName({ scope, windowStart }: Counter): string {
  return `${scope} ${windowStart}`
}

/**
 * Judges a plan against the counters of its person and counts what goes out. `counts` holds every counter of
 * `countersOf` by name and is changed; whoever calls holds them, so that nobody counts beside.
 * @throws RenderError as `plan` does
 */
export function settleCounters(counting: CountInput, counts: Map<string, number>): Plan {
  const { input } = counting
  const throttles = new Set<number>()
  let settled = counting.plan
  const used = (): { throttles: ReadonlySet<number>; cap?: CapUsed } => ({ ...input.facts.used, throttles })
  const again = (cap?: CapUsed): Plan =>
    plan({ ...input, facts: { ...input.facts, used: cap === undefined ? used() : { ...used(), cap } } })
  for (const limit of throttlesOf(counting)) {
    if (countOf(counts, limit) >= limit.count) {
      throttles.add(limit.step)
      settled = again()
      break
    }
    counts.set(limit.name, countOf(counts, limit) + 1)
  }
  let held: CapUsed | undefined
  const reached = new Set<CapLimit>()
  const caps = capsOf(counting)
  for (const limit of caps) {
    const number = countOf(counts, limit)
    if (number < limit.count || !sends(settled, limit.channels)) continue
    reached.add(limit)
    held = {
      detail: held?.detail ?? limit.detail(number),
      channels: [...new Set([...(held?.channels ?? []), ...limit.channels])],
    }
    settled = again(held)
  }
  for (const limit of caps) {
    if (!reached.has(limit) && sends(settled, limit.channels))
      counts.set(limit.name, countOf(counts, limit) + 1)
  }
  return settled
}

function throttlesOf({ input, plan: { throttles = [] } }: CountInput): (Limit & { step: number })[] {
  return throttles.map(({ step, key }) => {
    const { count, perMs, path } = input.workflow.steps[step] as ThrottleStep
    const counter = windowOf(`${input.workflow.key}/${path}/${key}`, perMs, input)
    return { step, counter, name: counterName(counter), count }
  })
}

function capsOf({ input, plan: planned, tenantCaps, countedBefore }: CountInput): CapLimit[] {
  const { workflow, facts } = input
  if (countedBefore || facts.category?.critical === true) return []
  const own = workflow.definition.cap
  const caps: (TenantCap & { scope: string; of: string })[] = tenantCaps.map((cap, index) => ({
    ...cap,
    scope: `* ${index}`,
    of: 'of everything',
  }))
  if (own !== undefined) caps.unshift({ ...own, scope: workflow.key, of: 'of this workflow' })
  return caps.flatMap((cap) => {
    const channels = cap.channels ?? DELIVERY_CHANNELS
    if (!sends(planned, channels)) return []
    const counter = windowOf(cap.scope, durationMs(cap.per) as number, input)
    const detail = (used: number) => `${used} of at most ${cap.count} per ${cap.per} ${cap.of} have gone out`
    return [{ counter, name: counterName(counter), count: cap.count, channels, detail }]
  })
}

/** A day is the person's own calendar day; other windows begin at multiples of their length. */
function windowOf(scope: string, perMs: number, { now, facts, calendar }: PlanInput): Counter {
  const timezone = facts.user.timezone ?? facts.tenantTimezone
  const windowStart = perMs === DAY_MS ? calendar.startOfDay(timezone, now) : Math.floor(now / perMs) * perMs
  // a day of a time change has 25 hours
  return { scope, windowStart, windowEnd: windowStart + perMs + 2 * 3_600_000 }
}

function sends(planned: Plan, channels: readonly Channel[]): boolean {
  return planned.steps.some(
    (step) => step.outcome === 'deliver' && (channels as readonly string[]).includes(step.type),
  )
}

function countOf(counts: ReadonlyMap<string, number>, { name }: Limit): number {
  return counts.get(name) ?? 0
}
