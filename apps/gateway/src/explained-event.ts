import { type DomainEvent, userId } from '@carillon/contracts'
import {
  BASIS,
  type CompiledWorkflow,
  explainEvent,
  explainRecipient,
  type PersonToday,
  userScope,
  type WorkflowStory,
} from '@carillon/decisions'
import {
  chunkDoneAt,
  type EventRecord,
  fanoutsOfEvent,
  findTenant,
  findUser,
  listTopics,
  runsOfEvent,
  type Tx,
  type WorkflowInForce,
  workflowsInForce,
} from '@carillon/postgres'
import { sha256 } from '@carillon/service'
import { NOTIFICATION_TYPE, TRIGGER_TYPE } from './event-types.js'
import { type ExplainedRun, explainRuns } from './explained.js'
import { versionName, versionsOf } from './explained-facts.js'
import { type StoredOutcome, storyOfRuns } from './explained-outcome.js'
import { keptEvent, seenEvent, selectionThen } from './explained-selection.js'

/** Most runs of one person that are told; more workflows than that match no event. */
const MOST_RUNS = 200
/** Most topics of one person that are compared. */
const MOST_TOPICS = 10_000

interface Asked {
  tenant: string
  event: EventRecord
  /** The id that the tenant's services use. */
  user: string
  /** A person asks for themselves: only what became theirs is told. */
  asPerson: boolean
  /** Also name the workflows that listen to other types. */
  all: boolean
}

/** Why somebody heard of an event, or didn't: the story as one paragraph and as data. */
export async function explainEventFor(tx: Tx, asked: Asked): Promise<Record<string, unknown>> {
  const { tenant, event, user, asPerson } = asked
  const found = await runsOfEvent(tx, { tenant, eventId: event.id, recipient: user, limit: MOST_RUNS })
  // a digest is told within the story of what went into it
  const own = found.filter((run) => !found.some(({ digestId }) => digestId === run.id))
  const runs = await explainRuns(tx, { tenant, event, runs: own, asPerson, withinEvent: true })
  const stored = event.outcome as StoredOutcome[]
  const outcomes = stored.filter((one) => one.workflow !== undefined)
  const problem = stored.find((one) => one.problem !== undefined)?.problem
  const person = await personToday(tx, { tenant, user })
  const then = asPerson
    ? { stories: [], named: [], others: [] }
    : await withoutRuns(tx, { ...asked, outcomes, person, told: new Set(runs.map(keyOf)) })
  const byKey = new Map<string, ExplainedRun[]>()
  for (const run of runs) byKey.set(keyOf(run), [...(byKey.get(keyOf(run)) ?? []), run])
  const workflows = [
    ...[...byKey].map(([key, of]) => storyOfRuns({ key, version: Number(of[0]?.version) }, of)),
    ...then.stories,
  ]
  const story = explainEvent({
    event: { type: event.type, id: event.eventId, source: event.source, seenAt: event.firstSeen.getTime() },
    user,
    known: person.known !== undefined,
    named: then.named,
    ...(problem === undefined || asPerson ? {} : { problem }),
    workflows,
    others: then.others.length,
  })
  return {
    event: shownEvent(event, asPerson),
    user,
    ...story,
    workflows,
    others: asked.all ? then.others : then.others.length,
    ...(problem === undefined || asPerson ? {} : { problem }),
    runs,
  }
}

/** A person sees what an event was, not what it carried for others. */
export function shownEvent(event: EventRecord, asPerson: boolean): Record<string, unknown> {
  const { id, source, eventId, type } = event
  const firstSeen = event.firstSeen.toISOString()
  return asPerson ? { id, source, eventId, type, firstSeen } : { ...event, firstSeen }
}

const keyOf = (run: ExplainedRun) => String(run.workflow)

async function personToday(
  tx: Tx,
  { tenant, user }: { tenant: string; user: string },
): Promise<PersonToday & { internal: string }> {
  const internal = userId(sha256, tenant, user)
  const found = await findUser(tx, { tenant, id: internal })
  if (found === undefined) return { id: user, internal }
  const defaults = await findTenant(tx, tenant)
  const { locale = 'en', timezone = 'UTC' } = defaults ?? {}
  return {
    id: user,
    internal,
    known: {
      active: found.status === 'active',
      roles: found.roles,
      topics: await listTopics(tx, { tenant, userId: internal, limit: MOST_TOPICS }),
      scope: userScope(found, { locale, timezone }),
    },
  }
}

type Person = Awaited<ReturnType<typeof personToday>>

interface Untold extends Asked {
  outcomes: readonly StoredOutcome[]
  person: Person
  /** Keys of the workflows that made a run. */
  told: ReadonlySet<string>
}

/** The workflows that made no run for the person, and whom the event named. */
async function withoutRuns(
  tx: Tx,
  asked: Untold,
): Promise<{
  stories: WorkflowStory[]
  named: string[]
  others: { key: string; version: number; on: unknown }[]
}> {
  const { tenant, event, outcomes, told } = asked
  const matched = outcomes.filter((one) => one.matched === true)
  const versions = await versionsOf(tx, {
    tenant,
    of: matched.map(({ workflow = '', version = 0 }) => ({ key: workflow, version })),
  })
  const kept = keptEvent(tenant, event)
  const named = new Set<string>()
  const stories: WorkflowStory[] = []
  for (const outcome of outcomes) {
    const { workflow: key = '', version = 0 } = outcome
    const compiled = versions.get(versionName({ key, version }))
    const selection = outcome.matched === true ? selectionThen(kept, compiled) : undefined
    for (const one of selection?.users ?? []) named.add(typeof one === 'string' ? one : one.id)
    if (told.has(key)) continue
    if (outcome.matched !== true) {
      const { reason = 'NO_MATCH', detail = 'its condition does not hold' } = outcome
      stories.push({ key, version, outcome: 'not told', reason, detail, runs: [] })
    } else stories.push(await notMeant(tx, { ...asked, kept, outcome, compiled }))
  }
  const { unheard, others } = await notAsked(tx, asked)
  return { stories: [...stories, ...unheard], named: [...named], others }
}

/** A workflow that matched and has no run for the person. */
async function notMeant(
  tx: Tx,
  of: Untold & { kept: DomainEvent; outcome: StoredOutcome; compiled: CompiledWorkflow | undefined },
): Promise<WorkflowStory> {
  const { kept, outcome, compiled, person } = of
  const { workflow: key = '', version = 0 } = outcome
  const story = { key, version, outcome: 'not told' as const, reason: 'NO_RECIPIENT' as const, runs: [] }
  if (outcome.recipients === 0)
    return { ...story, detail: `it told nobody: ${outcome.detail ?? 'nobody belongs to whom it is for'}` }
  const computed = { ...story, computed: true as const, basis: BASIS }
  const selection = selectionThen(kept, compiled)
  if (selection === undefined)
    return { ...computed, detail: 'its version of then no longer compiles, so whom it meant can not be told' }
  const to = toText(kept, compiled)
  const { meant, detail } = explainRecipient({ event: seenEvent(kept), selection, person, to })
  if (!meant) return { ...computed, detail }
  if (outcome.fanout !== undefined) {
    const { reason: _reason, ...open } = computed
    const progress = await chunkOf(tx, of)
    if (progress !== undefined) return { ...open, outcome: 'not yet', detail: `${detail}; ${progress}` }
  }
  return {
    ...computed,
    detail: `${detail}, but no run is kept: it was not so when the event came, or the run is older than what is kept`,
  }
}

function toText(event: DomainEvent, compiled: CompiledWorkflow | undefined): string {
  if (event.type === TRIGGER_TYPE || event.type === NOTIFICATION_TYPE) return 'whoever sent it'
  const to = compiled?.definition.to
  return typeof to === 'string' ? to : 'it'
}

/** How far the telling of a large audience is, while the person's part isn't done. */
async function chunkOf(tx: Tx, of: Untold & { outcome: StoredOutcome }): Promise<string | undefined> {
  const { tenant, event, outcome, person } = of
  const key = outcome.workflow ?? ''
  const progress = (await fanoutsOfEvent(tx, { tenant, id: event.id })).find(
    ({ workflow }) => workflow === key,
  )
  if (progress === undefined) return undefined
  const chunk = chunkIndex(person.internal, progress.chunks)
  const doneAt = await chunkDoneAt(tx, { tenant, eventId: event.id, workflow: key, chunk })
  if (doneAt !== undefined) return undefined
  return `a large audience is told in ${progress.chunks} parts, of which ${progress.done} ${progress.done === 1 ? 'is' : 'are'} done; the part with ${person.id} is not done yet`
}

/** Parts are equal ranges of the first 48 bits of user ids. */
function chunkIndex(internalId: string, chunks: number): number {
  const prefix = BigInt(`0x${internalId.replaceAll('-', '').slice(0, 12)}`)
  return Number(((prefix + 1n) * BigInt(chunks) - 1n) >> 48n)
}

/** Workflows in force then without a stored outcome: those of other types, and those that should have been asked. */
async function notAsked(
  tx: Tx,
  { tenant, event, outcomes, told }: Untold,
): Promise<{ unheard: WorkflowStory[]; others: { key: string; version: number; on: unknown }[] }> {
  const aimed = event.type === TRIGGER_TYPE || event.type === NOTIFICATION_TYPE
  const inForce = await workflowsInForce(tx, { tenant, at: event.firstSeen })
  const rest = inForce.filter(
    ({ key }) => !told.has(key) && !outcomes.some(({ workflow }) => workflow === key),
  )
  const listening = aimed ? [] : rest.filter((workflow) => listens(workflow, event.type))
  return {
    unheard: listening.map(({ key, version }) => ({
      key,
      version,
      outcome: 'not told' as const,
      reason: 'NO_MATCH' as const,
      detail:
        'it listens to the type, but was not asked: it had only just been published, or it does not compile',
      computed: true as const,
      basis: BASIS,
      runs: [],
    })),
    others: rest
      .filter((workflow) => !listening.includes(workflow))
      .map(({ key, version, definition }) => ({ key, version, on: definition.on })),
  }
}

function listens({ definition: { on } }: WorkflowInForce, type: string): boolean {
  return (Array.isArray(on) ? on : [on]).some((one) =>
    one.endsWith('.*') ? type.startsWith(one.slice(0, -1)) : type === one,
  )
}
