import type { DomainEvent } from '@carillon/contracts'
import { joinDigest, type OpenDigest } from '../digests.js'
import { planForUnknown } from '../ended-plans.js'
import type { Facts } from '../facts.js'
import { joinParts, judgeOrFail, sends } from '../passes.js'
import type { Plan, PlanInput } from '../plan.js'
import type { DigestStep } from '../steps.js'
import { createAwaitedEvents } from './awaited-events.js'
import { createCounts } from './counts.js'
import type { ReplayOptions } from './replay.js'
import { addDigest, beginRun, cancelledAt, digestItem, momentOfCancel, type ReplayRun } from './run.js'
import { createWakes } from './wakes.js'

/** Takes runs from pass to pass. */
export interface Judging {
  /** The first pass. */
  begin(run: ReplayRun, now: number): void
  /** What the first pass would cancel, before anything is counted. */
  cancelsOf(run: ReplayRun, now: number): NonNullable<Plan['cancels']>
  /** Has a waiting run looked at at `at`, sooner than it would be. */
  rouse(run: ReplayRun, at: number): void
  /** Wakes what is due, each at its own time. */
  wake(until: number): void
  /** An event that somebody may wait for. */
  came(event: DomainEvent, at: number): void
  forgetBefore(at: number): void
}

interface Shared {
  cancels: ReadonlyMap<string, number>
  /** Told of the run that carries a digest. */
  opened(run: ReplayRun): void
  /** Told of a run that no pass, seen mark or cancel can change any more. */
  ended(run: ReplayRun): void
  cancelled(cancel: { workflow: string; key: string; at: number }, now: number): void
}

export function createJudging(
  options: ReplayOptions,
  { cancels, opened, ended, cancelled }: Shared,
): Judging {
  const { people, calendar, caps: tenantCaps = [] } = options
  const wakes = createWakes()
  const counts = createCounts()
  const awaited = createAwaitedEvents(options.workflows)
  const windows = new Map<string, OpenDigest>()
  const digests = new Map<string, { run: ReplayRun; window: string }>()

  const inputOf = (run: ReplayRun, now: number): PlanInput | undefined => {
    const { event, workflow, expiresFrom: begunAt } = run
    const facts = people.factsFor(run.recipient, workflow.category ?? null)
    if (facts === undefined) return undefined
    const own: Facts = { ...facts, seenAt: run.seenAt, cancelledAt: cancelledAt(run, cancels) }
    if (run.awaited !== undefined) own.awaited = run.awaited
    if (run.items !== undefined) addDigest(own, run, cancels)
    return { event, workflow, facts: own, now, calendar, begunAt }
  }

  const settle = (run: ReplayRun, input: PlanInput, planned: Plan): Plan => {
    if (planned.state === 'failed') return planned
    const counting = { input, plan: planned, tenantCaps, countedBefore: run.counted }
    return judgeOrFail(input, () => counts.settle(run.recipient, counting)).plan
  }

  const openDigest = (run: ReplayRun, id: string, step: number, now: number): ReplayRun => {
    const { event, workflow, recipient, plan: judged } = run
    const carrier = beginRun(
      { id, event, workflow, recipient, begunAt: now },
      { key: judged.digest?.key ?? '', item: run },
    )
    const { lane, category } = judged
    carrier.plan = {
      state: 'waiting',
      at: now,
      steps: [],
      content: {},
      inInbox: false,
      lane,
      category,
      nextStep: step + 1,
    }
    opened(carrier)
    return carrier
  }

  /** True when the run goes on at once. */
  const gather = (run: ReplayRun, input: PlanInput, planned: Plan): boolean => {
    const { step, key } = planned.digest as NonNullable<Plan['digest']>
    const { facts, now, workflow } = input
    const window = JSON.stringify([workflow.key, workflow.version, run.recipient, step, key])
    const joined = joinDigest(windows.get(window), {
      step: workflow.steps[step] as DigestStep,
      timezone: facts.user.timezone ?? facts.tenantTimezone,
      now,
      calendar,
      digestId: `${run.id}/digest-${step + 1}`,
    })
    if (joined.open === undefined) windows.delete(window)
    else windows.set(window, joined.open)
    if (joined.kind === 'flushed') return true
    run.plan = planned
    const { digestId, closesAt } = joined
    const carrier = digests.get(digestId)?.run ?? openDigest(run, digestId, step, now)
    if (joined.opens) digests.set(digestId, { run: carrier, window })
    else carrier.items?.push(run)
    run.digestId = digestId
    carrier.plan = { ...carrier.plan, resumeAt: closesAt, wakeAt: closesAt }
    wakes.put(carrier, closesAt)
    return false
  }

  const closeDigest = (run: ReplayRun, now: number): void => {
    const digest = digests.get(run.id)
    if (digest === undefined) return
    digests.delete(run.id)
    run.expiresFrom = now
    if (windows.get(digest.window)?.digestId === run.id) windows.delete(digest.window)
  }

  const settleRounds = (run: ReplayRun, input: PlanInput): Plan => {
    let current = input
    let planned = settle(run, current, judgeOrFail(current).plan)
    while (planned.digest !== undefined && gather(run, current, planned)) {
      const { step, key } = planned.digest
      const facts = { ...current.facts, digest: { key, items: [digestItem(run)] } }
      current = { ...input, facts, fromStep: step + 1, held: [], resumeAt: null }
      run.counted ||= sends(planned)
      const next = settle(run, current, judgeOrFail(current).plan)
      planned = next.state === 'failed' ? next : joinParts(planned, next)
    }
    return planned
  }

  const pass = (run: ReplayRun, now: number, going: Partial<PlanInput>): void => {
    closeDigest(run, now)
    const input = inputOf(run, now)
    const { event, workflow, recipient } = run
    const planned =
      input === undefined
        ? planForUnknown({ event, workflow, now, recipient })
        : settleRounds(run, { ...input, ...going })
    // a pass that only looks at what is held doesn't say again what the run waits for
    const waitsOn = planned.nextStep !== undefined && planned.nextStep === run.plan.nextStep
    if (waitsOn && planned.awaits === undefined && run.plan.awaits !== undefined)
      planned.awaits = run.plan.awaits
    run.plan = planned
    run.passes = [...run.passes, { at: now, steps: planned.steps }]
    run.content = { ...run.content, ...planned.content }
    run.inInbox ||= planned.inInbox
    run.counted ||= sends(planned)
    for (const cancel of planned.cancels ?? []) cancelled({ ...cancel, at: momentOfCancel(run) }, now)
    goOn(run, planned, now)
  }

  const goOn = (run: ReplayRun, planned: Plan, now: number): void => {
    if (planned.wakeAt !== undefined) {
      run.awaited = awaited.await(run)
      wakes.put(run, run.awaited === undefined ? planned.wakeAt : now)
      return
    }
    if (run.digestId === undefined || !digests.has(run.digestId)) endWithItems(run)
  }

  const endWithItems = (run: ReplayRun): void => {
    if (run.wakeAt !== undefined) return
    for (const item of run.items ?? []) endWithItems(item)
    ended(run)
  }

  return {
    begin: (run, now) => pass(run, now, {}),
    cancelsOf(run, now) {
      const listed = run.workflow.steps.some(({ type }) => type === 'cancel')
      const input = listed ? inputOf(run, now) : undefined
      return input === undefined ? [] : (judgeOrFail(input).plan.cancels ?? [])
    },
    rouse(run, at) {
      if (run.wakeAt !== undefined && run.wakeAt > at) wakes.put(run, at)
    },
    wake(until) {
      for (let due = wakes.take(until); due !== undefined; due = wakes.take(until)) {
        const { run, at } = due
        awaited.done(run)
        const { nextStep = null, resumeAt = null, held = [] } = run.plan
        pass(run, at, { fromStep: nextStep, resumeAt, held })
      }
    },
    came(event, at) {
      for (const run of awaited.came(event, at)) {
        if (run.wakeAt !== undefined && run.wakeAt > at) wakes.put(run, at)
      }
    },
    forgetBefore: (at) => awaited.forgetBefore(at),
  }
}
