import type { DomainEvent } from '@carillon/contracts'
import { isCancelledBy } from '../cancels.js'
import type { CompiledWorkflow } from '../compile.js'
import type { TenantCap } from '../counters.js'
import { createMatcher, type WorkflowOutcome } from '../match.js'
import { recipientsOf } from '../recipients.js'
import type { Calendar } from '../time/calendar.js'
import { type Decision, decisionOf } from './decision.js'
import { createJudging, type Judging } from './judging.js'
import type { PeopleSource } from './people.js'
import { beginRun, cancelName, momentOfCancel, type ReplayRun } from './run.js'
import { triggered } from './triggers.js'

export interface ReplayOptions {
  workflows: readonly CompiledWorkflow[]
  people: PeopleSource
  calendar: Calendar
  /** The tenant's caps on everything that reaches one person. */
  caps?: readonly TenantCap[]
  /**
   * Given every decision once nothing can change it any more, and at `end` the others. What was given is not kept, so
   * that a replay of any length stays small.
   */
  onDecided?: (decision: Decision) => void
}

/** What an event began. */
export interface Accepted {
  /** The same id of the same source was there before: nothing happens. */
  duplicate: boolean
  /** Per workflow that listens to its type; `recipients`: how many it told. */
  outcomes: (WorkflowOutcome & { recipients?: number })[]
}

/**
 * Does with events in memory what a mesh does with rows: matches, plans, counts, gathers, waits and wakes, on time and
 * without sending. Deterministic: the same calls give the same decisions, byte for byte. Moments are milliseconds and
 * don't go back.
 */
export interface Replay {
  /** Everything due until `at` happens before. @throws RangeError when `at` lies before what was */
  accept(event: DomainEvent, at: number): Accepted
  /** Wakes what is due, in the order of time. */
  advanceTo(at: number): void
  /** Marks as seen what is still to be judged: one run, or all of a workflow for one person. Gives how many. */
  see(seen: string | { workflow: string; recipient: string }, at: number): number
  cancel(workflow: string, key: string, at: number): void
  /** Every run so far as it stands now, in the order in which they began; without those given to `onDecided`. */
  decisions(): Decision[]
  /** Gives the runs that still wait to `onDecided`, as they stand. */
  end(): void
}

/** What only runs that are over could have needed is forgotten each time that so many events were accepted. */
const TIDY_EVERY = 10_000

export function createReplay(options: ReplayOptions): Replay {
  const { workflows, people, onDecided } = options
  const match = createMatcher(workflows)
  const byKey = new Map(workflows.map((workflow) => [workflow.key, workflow]))
  const known = new Map<string, string[]>()
  const runs = new Map<string, ReplayRun>()
  const cancels = new Map<string, number>()
  let now = Number.NEGATIVE_INFINITY
  let accepted = 0

  const settled = (run: ReplayRun): void => {
    if (onDecided === undefined) return
    runs.delete(run.id)
    onDecided(decisionOf(run))
  }
  const judging: Judging = createJudging(options, {
    cancels,
    opened: (run) => runs.set(run.id, run),
    ended: settled,
    cancelled: ({ workflow, key, at }, moment) => cancel({ workflow, key, at }, moment),
  })

  const moveTo = (at: number): void => {
    if (at < now) throw new RangeError(`It is ${iso(now)} already; ${iso(at)} lies before that.`)
    judging.wake(at)
    now = at
  }
  /** Stores a cancel, whether or not its runs have begun, and has those looked at that wait. */
  const cancel = ({ workflow, key, at }: { workflow: string; key: string; at: number }, moment: number) => {
    const name = cancelName(workflow, key)
    cancels.set(name, Math.max(at, cancels.get(name) ?? at))
    for (const run of [...runs.values()]) {
      if (run.workflow.key === workflow && run.cancelKey === key) judging.rouse(run, moment)
    }
  }

  const begin = (event: DomainEvent, at: number): Accepted => {
    const direct = triggered(event, byKey)
    const { matched, outcomes } = direct ?? match(event)
    const begun: ReplayRun[] = []
    const told = new Map<string, number>()
    // another source may use the same id
    const name = (known.get(event.id)?.length ?? 1) > 1 ? `${event.id}@${event.source}` : event.id
    for (const workflow of matched) {
      const seen = direct?.event ?? event
      const { users, groups, excluded } = direct?.recipients ?? recipientsOf(seen, workflow)
      const names = new Set<string>()
      for (const user of users) {
        if (typeof user !== 'string') people.identify(user)
        names.add(typeof user === 'string' ? user : user.id)
      }
      for (const member of groups.flatMap((group) => people.members(group, seen)))
        if (!excluded.has(member)) names.add(member)
      told.set(workflow.key, names.size)
      for (const recipient of names)
        begun.push(
          beginRun({
            id: `${workflow.key}/${recipient}/${name}`,
            event: seen,
            workflow,
            recipient,
            begunAt: at,
          }),
        )
    }
    for (const run of begun) runs.set(run.id, run)
    beginAll(begun, at)
    return {
      duplicate: false,
      outcomes: outcomes.map((outcome) =>
        outcome.matched ? { ...outcome, recipients: told.get(outcome.workflow) ?? 0 } : outcome,
      ),
    }
  }

  const beginAll = (begun: readonly ReplayRun[], at: number): void => {
    for (const run of begun) {
      for (const { workflow, key } of judging.cancelsOf(run, at)) cancelWithin(begun, { workflow, key }, run)
    }
    for (const run of begun) judging.begin(run, at)
    judging.wake(at)
  }

  const tidy = (): void => {
    const [oldest] = runs.values()
    judging.forgetBefore(onDecided === undefined ? Number.NEGATIVE_INFINITY : (oldest?.begunAt ?? now))
  }

  return {
    accept(event, at) {
      moveTo(at)
      const sources = known.get(event.id) ?? []
      if (sources.includes(event.source)) return { duplicate: true, outcomes: [] }
      known.set(event.id, [...sources, event.source])
      judging.came(event, at)
      const result = begin(event, at)
      if (++accepted % TIDY_EVERY === 0) tidy()
      return result
    },
    advanceTo: moveTo,
    see(seen, at) {
      moveTo(at)
      const meant = (run: ReplayRun) =>
        typeof seen === 'string'
          ? run.id === seen
          : run.workflow.key === seen.workflow && run.recipient === seen.recipient
      const marked = [...runs.values()].filter((run) => meant(run) && run.seenAt === null)
      for (const run of marked) {
        run.seenAt = at
        if (run.plan.wakeOnSeen === true) judging.rouse(run, at)
      }
      judging.wake(at)
      return marked.length
    },
    cancel(workflow, key, at) {
      moveTo(at)
      cancel({ workflow, key, at }, at)
      judging.wake(at)
    },
    decisions: () => [...runs.values()].map(decisionOf),
    end() {
      for (const run of [...runs.values()]) settled(run)
    },
  }
}

/** The cancels that an event orders hold for its own runs too. */
function cancelWithin(
  begun: readonly ReplayRun[],
  { workflow, key }: { workflow: string; key: string },
  by: ReplayRun,
): void {
  const at = momentOfCancel(by)
  for (const run of begun) {
    const meant = run.workflow.key === workflow && run.cancelKey === key
    if (meant && isCancelledBy(at, { firstSeenMs: run.begunAt, time: run.event.time }))
      run.cancelledWithin = at
  }
}

function iso(at: number): string {
  return new Date(at).toISOString()
}
