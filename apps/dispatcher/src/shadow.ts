import { CHANNELS, type Channel, type DomainEvent } from '@carillon/contracts'
import {
  type CompiledWorkflow,
  type Counter,
  counterName,
  type PlanInput,
  recipientsOf,
  type StepOutcome,
} from '@carillon/decisions'
import {
  addShadowResults,
  readCounters,
  type ShadowCount,
  type ShadowExample,
  type Tx,
} from '@carillon/postgres'
import { type Assigned, type Assignment, TRIGGER_TYPE } from './assign.js'
import { lookUp } from './facts.js'
import type { JudgeDeps } from './judge.js'
import { projectRun } from './project-run.js'
import { type Recipient, resolveRecipients } from './recipients.js'
import type { TenantRules } from './rules.js'

/** An event that is judged for the first time. */
export interface ShadowedEvent {
  event: DomainEvent
  rules: TenantRules
  rowId: string
  firstSeenMs: number
  assigned: Assigned
}

/** A shadow and what is published under its key, for one event; a side that didn't match tells nobody. */
interface Pair {
  entry: ShadowedEvent
  shadow: CompiledWorkflow
  published: CompiledWorkflow | undefined
  sides: { shadow: Assignment | undefined; published: Assignment | undefined }
}

type Side = keyof Pair['sides']

/** One side for one person. */
interface Judgement {
  pair: Pair
  side: Side
  recipient: Recipient
  input: PlanInput
  steps: StepOutcome[]
}

/**
 * Judges the shadows of the tenants of a batch beside what is published, both to the end of their runs, and adds up what
 * differs. Sends nothing, counts nothing and gathers nothing; counters are read as they stand before the batch. Costs
 * nothing without a shadow. Audiences that are told in chunks aren't compared.
 */
export async function judgeShadows(
  tx: Tx,
  entries: readonly ShadowedEvent[],
  deps: JudgeDeps,
): Promise<void> {
  const pairs = entries.filter(({ rules }) => rules.shadows.size > 0).flatMap(pairsOf)
  if (pairs.length === 0) return
  const judgements = await judgementsOf(tx, pairs, deps)
  await project(tx, judgements)
  const { counts, examples } = compare(judgements)
  await addShadowResults(tx, { counts, examples, atMs: deps.now() })
}

function pairsOf(entry: ShadowedEvent): Pair[] {
  const { event, rules, assigned } = entry
  const published = new Map(assigned.assignments.map((assignment) => [assignment.workflow.key, assignment]))
  const shadows = new Map<string, Assignment>()
  if (event.type === TRIGGER_TYPE) {
    for (const [key, assignment] of published) {
      const workflow = rules.shadows.get(key)
      if (workflow !== undefined) shadows.set(key, { ...assignment, workflow })
    }
  } else {
    for (const workflow of rules.matchShadows(event).matched)
      shadows.set(workflow.key, { workflow, event, recipients: recipientsOf(event, workflow) })
  }
  return [...rules.shadows].flatMap(([key, shadow]) => {
    const sides = { shadow: shadows.get(key), published: published.get(key) }
    if (sides.shadow === undefined && sides.published === undefined) return []
    return [{ entry, shadow, published: rules.workflows.get(key), sides }]
  })
}

async function judgementsOf(tx: Tx, pairs: readonly Pair[], deps: JudgeDeps): Promise<Judgement[]> {
  const wanted = pairs.flatMap((pair) =>
    (['shadow', 'published'] as const).flatMap((side) => {
      const assignment = pair.sides[side]
      return assignment === undefined ? [] : [{ pair, side, assignment, rules: pair.entry.rules }]
    }),
  )
  const { resolved } = await resolveRecipients(tx, wanted)
  const large = new Set(
    wanted.flatMap(({ pair }, place) => (resolved[place]?.fanout === undefined ? [] : [pair])),
  )
  const meant = wanted.flatMap((one, place) =>
    large.has(one.pair)
      ? []
      : (resolved[place]?.recipients ?? []).map((recipient) => ({ ...one, recipient })),
  )
  const keysOf = (some: typeof meant) =>
    some.map(({ rules, recipient }) => ({ tenant: rules.tenant, id: recipient.userId }))
  const asked = meant.filter(({ assignment }) => assignment.workflow.asksOnline)
  const directory = await lookUp(tx, { users: keysOf(meant), asked: keysOf(asked) }, deps)
  const now = deps.now()
  return meant.flatMap(({ pair, side, assignment, rules, recipient }) => {
    const { workflow, event } = assignment
    const category = workflow.category ?? null
    const facts = directory.factsOf(rules, recipient.userId, { category, seenAt: null, cancelledAt: null })
    if (facts === undefined) return []
    const { calendar } = deps
    const input = { event, workflow, facts, now, calendar, begunAt: pair.entry.firstSeenMs }
    return [{ pair, side, recipient, input, steps: [] }]
  })
}

/** Each side counts for itself, from where the counters stand. */
async function project(tx: Tx, judgements: readonly Judgement[]): Promise<void> {
  const known = new Map<string, { tenant: string; userId: string; counter: Counter }>()
  for (const { pair, recipient, input } of judgements) {
    const { tenant, caps } = pair.entry.rules
    projectRun(input, { tenantCaps: caps, counts: new Map() }, (counter) =>
      known.set(`${recipient.userId} ${counterName(counter)}`, { tenant, userId: recipient.userId, counter }),
    )
  }
  const names = [...known]
  const stand = await readCounters(
    tx,
    names.map(([, { tenant, userId, counter }]) => ({ tenant, userId, ...counter })),
  )
  const counts = new Map<string, Map<string, number>>()
  const countsOf = (side: Side, userId: string): Map<string, number> => {
    const name = `${side} ${userId}`
    const own = counts.get(name) ?? new Map<string, number>()
    counts.set(name, own)
    return own
  }
  names.forEach(([, { userId, counter }], place) => {
    for (const side of ['shadow', 'published'] as const)
      countsOf(side, userId).set(counterName(counter), stand[place] ?? 0)
  })
  for (const judgement of judgements) {
    const { pair, side, recipient, input } = judgement
    const { caps: tenantCaps } = pair.entry.rules
    judgement.steps = projectRun(input, { tenantCaps, counts: countsOf(side, recipient.userId) })
  }
}

type PerSide = Partial<Record<Side, StepOutcome[]>>

function compare(judgements: readonly Judgement[]): { counts: ShadowCount[]; examples: ShadowExample[] } {
  const people = new Map<Pair, Map<string, PerSide>>()
  for (const { pair, side, recipient, steps } of judgements) {
    const told = people.get(pair) ?? new Map<string, PerSide>()
    people.set(pair, told)
    told.set(recipient.name, { ...told.get(recipient.name), [side]: steps })
  }
  const counts = new Map<string, ShadowCount>()
  const examples: ShadowExample[] = []
  for (const [pair, told] of people) {
    for (const [recipient, { shadow = [], published = [] }] of told) {
      const [mine, theirs] = [channelsOf(shadow), channelsOf(published)]
      for (const channel of CHANNELS) {
        if (!mine.has(channel) && !theirs.has(channel)) continue
        const count = countOf(counts, pair, channel)
        if (mine.has(channel) && theirs.has(channel)) count.same++
        else if (mine.has(channel)) count.more++
        else count.less++
      }
      if ([...mine].sort().join() !== [...theirs].sort().join())
        examples.push(exampleOf(pair, recipient, { shadow, published }))
    }
  }
  return { counts: [...counts.values()], examples }
}

function channelsOf(steps: readonly StepOutcome[]): Set<string> {
  return new Set(steps.filter(({ outcome }) => outcome === 'deliver').map(({ type }) => type))
}

function versionsOf({ entry, shadow, published }: Pair) {
  return {
    tenant: entry.rules.tenant,
    workflowKey: shadow.key,
    shadowVersion: shadow.version,
    publishedVersion: published?.version ?? 0,
  }
}

function countOf(counts: Map<string, ShadowCount>, pair: Pair, channel: Channel): ShadowCount {
  const versions = versionsOf(pair)
  const name = JSON.stringify([versions, channel])
  const count = counts.get(name) ?? { ...versions, channel, same: 0, more: 0, less: 0 }
  counts.set(name, count)
  return count
}

function exampleOf(pair: Pair, recipient: string, { shadow, published }: Required<PerSide>): ShadowExample {
  const shown = (steps: readonly StepOutcome[]) =>
    JSON.stringify(steps.map(({ type, outcome, reason, detail }) => ({ type, outcome, reason, detail })))
  return {
    ...versionsOf(pair),
    eventId: pair.entry.rowId,
    recipient,
    atMs: pair.entry.firstSeenMs,
    publishedJson: shown(published),
    shadowJson: shown(shadow),
  }
}
