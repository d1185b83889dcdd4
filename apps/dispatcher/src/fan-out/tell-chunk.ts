import {
  type DeliveryChannel,
  type DomainEvent,
  type FanoutChunk,
  isDeliveryChannel,
  runId,
} from '@carillon/contracts'
import type { CompiledWorkflow } from '@carillon/decisions'
import {
  type ChunkSource,
  claimChunk,
  countChunk,
  type FanoutRow,
  findFanout,
  giveUpFanout,
  type InlineUser,
  loadStoredRuns,
  loadTenants,
  membersInRange,
  peopleInRange,
  type StoredDelivery,
  type StoredRun,
  type Tx,
  upsertInlineUsers,
} from '@carillon/postgres'
import { sha256 } from '@carillon/service'
import { asWorkflowSees, directWorkflow, NOTIFICATION_TYPE, selectionFor } from '../assign.js'
import type { DirectWorkflows } from '../direct-workflows.js'
import { audienceOf, notExcluded, peopleIn, segmentsOf } from '../groups.js'
import { type JudgeDeps, judge } from '../judge.js'
import { collectInline, distinct, identify, type Recipient, recipientOf } from '../recipients.js'
import type { DeliveryDefaults } from '../rows.js'
import type { RulesCache, TenantRules } from '../rules.js'
import { writeRuns } from '../write-runs.js'
import { isIn, rangeOf } from './ranges.js'

export interface TellDeps extends JudgeDeps {
  rules: RulesCache
  direct: DirectWorkflows
  defaults: DeliveryDefaults
}

/** What became of a chunk in its transaction. */
export type Told =
  | {
      kind: 'told'
      /** Committed rows that have to be published, whichever pass wrote them. */
      runs: StoredRun[]
      deliveries: StoredDelivery[]
      /** When the rows were written. */
      writtenAtMs: number
      lane: FanoutRow['lane']
      channels: DeliveryChannel[]
      /** Runs that may wait for an event. */
      awaiting: string[]
      /** Why runs failed for what the event lacks. */
      problem?: string
    }
  /** Its jobs would overrun a queue: nothing was written. */
  | { kind: 'full'; lane: FanoutRow['lane']; channels: DeliveryChannel[] }
  /** It can't go on. `first`: nobody has said so yet. */
  | { kind: 'lost'; reason: string; first: boolean }

/** True while the queues of these channels have room for more. */
export type HasRoom = (lane: FanoutRow['lane'], channels: readonly DeliveryChannel[]) => boolean

/**
 * Tells everybody in one range of user ids, in one transaction: the chunk is claimed together with the rows of its
 * people, so another pass finds either neither or both, and then loads the rows that are stored.
 */
export async function tellChunk(
  tx: Tx,
  chunk: FanoutChunk,
  { hasRoom, ...deps }: TellDeps & { hasRoom: HasRoom },
): Promise<Told> {
  const key = { eventId: chunk.eventId, workflowKey: chunk.workflow }
  const source = await findFanout(tx, key)
  if (source === undefined || chunk.chunk >= source.fanout.chunks)
    return { kind: 'lost', reason: 'the fan-out is not known', first: true }
  const begun = await beginAgain(tx, source, deps)
  if ('lost' in begun) return { kind: 'lost', reason: begun.lost, first: await giveUpFanout(tx, key) }
  const channels = channelsOf(begun.workflow)
  if (!hasRoom(source.fanout.lane, channels)) return { kind: 'full', lane: source.fanout.lane, channels }
  const claim = await claimChunk(tx, { ...key, chunk: chunk.chunk, tenant: source.fanout.tenant })
  const { recipients, inline } = await recipientsIn(tx, begun, rangeOf(chunk.chunk, source.fanout.chunks))
  const { event, workflow, rules, firstSeenMs } = begun
  const told = { kind: 'told', lane: source.fanout.lane, channels } as const
  if (!claim.fresh) {
    const ids = recipients.map(({ userId: recipient }) =>
      runId(sha256, { firstSeenMs, eventRow: chunk.eventId, workflow: workflow.key, recipient }),
    )
    const stored = await loadStoredRuns(tx, ids)
    return { ...told, ...stored, writtenAtMs: claim.doneAtMs, awaiting: stored.runs.map((run) => run.id) }
  }
  if (inline.length > 0) await upsertInlineUsers(tx, inline)
  const candidates = recipients.map((recipient) => ({
    rules,
    workflow,
    event: asWorkflowSees(event),
    eventRow: chunk.eventId,
    firstSeenMs,
    index: 0,
    recipient,
  }))
  const judged = await judge(tx, candidates, deps)
  const written = await writeRuns(tx, { events: [], judged }, deps.defaults)
  await countChunk(tx, { ...key, chunk: chunk.chunk, runs: written.runs.length })
  const problem = judged.runs.find((run) => run.problem !== undefined)?.problem
  return { ...told, ...written, writtenAtMs: deps.now(), ...(problem === undefined ? {} : { problem }) }
}

interface Begun {
  rules: TenantRules
  /** As it came. */
  event: DomainEvent
  workflow: CompiledWorkflow
  firstSeenMs: number
}

/** The tenant's rules, the event and the version that the fan-out began with; or which of them is gone. */
async function beginAgain(
  tx: Tx,
  { fanout, event: stored }: ChunkSource,
  deps: TellDeps,
): Promise<Begun | { lost: string }> {
  const tenants = await loadTenants(tx, [fanout.tenant])
  const active = tenants.filter((tenant) => tenant.active)
  const rules = (await deps.rules.forTenants(tx, active)).get(fanout.tenant)
  if (rules === undefined) return { lost: `tenant "${fanout.tenant}" is suspended` }
  if (stored === null) return { lost: 'its event is no longer kept' }
  const event = eventOf(fanout.tenant, stored)
  const workflow = await workflowOf(tx, { fanout, event, rules }, deps)
  if (workflow === undefined) return { lost: 'its workflow version is no longer kept' }
  return { rules, event, workflow, firstSeenMs: stored.firstSeenMs }
}

async function workflowOf(
  tx: Tx,
  { fanout, event, rules }: { fanout: FanoutRow; event: DomainEvent; rules: TenantRules },
  deps: TellDeps,
): Promise<CompiledWorkflow | undefined> {
  if (event.type === NOTIFICATION_TYPE) return directWorkflow(event, deps.direct)
  const current = rules.workflows.get(fanout.workflowKey)
  if (current?.version === fanout.workflowVersion) return current
  const { tenant, workflowKey: key, workflowVersion: version } = fanout
  return deps.rules.version(tx, { tenant, key, version })
}

function eventOf(tenant: string, stored: NonNullable<ChunkSource['event']>): DomainEvent {
  return {
    tenant,
    lane: stored.lane,
    id: stored.eventId,
    source: stored.source,
    type: stored.type,
    time: stored.time ?? undefined,
    subject: stored.subject ?? undefined,
    data: stored.data,
    // only what is stored for the first time needs the text
    dataJson: '',
    traceparent: undefined,
  }
}

/** Everybody in the range whom the event names or a group brings, each once, by id. */
async function recipientsIn(
  tx: Tx,
  { rules, event, workflow }: Begun,
  range: ReturnType<typeof rangeOf>,
): Promise<{ recipients: Recipient[]; inline: InlineUser[] }> {
  const { tenant } = rules
  const selection = selectionFor(event, workflow)
  const inline = new Map<string, InlineUser>()
  const named: Recipient[] = []
  for (const user of selection.users) {
    const recipient = identify(tenant, user)
    if (!isIn(recipient.userId, range)) continue
    named.push(recipient)
    collectInline(tenant, user, inline)
  }
  const members = await membersInRange(tx, audienceOf(tenant, selection.groups), range)
  const segments = segmentsOf(selection.groups)
  const people = segments.length === 0 ? [] : await peopleInRange(tx, { tenant, range })
  const chosen = peopleIn(segments, people, { rules, event: asWorkflowSees(event) })
  const grouped = notExcluded([...members, ...chosen], selection).map(recipientOf)
  return { recipients: distinct([...named, ...grouped]), inline: [...inline.values()] }
}

function channelsOf(workflow: CompiledWorkflow): DeliveryChannel[] {
  const types = workflow.steps.map((step) => step.type)
  return [...new Set(types.filter((type) => isDeliveryChannel(type)))]
}
