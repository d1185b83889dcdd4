import type { Reason } from '@carillon/contracts'
import type { WorkflowStory } from '@carillon/decisions'
import type { ExplainedRun } from './explained.js'

/** What is stored with an event, per workflow that listens to its type; `problem`: why it is a dead letter. */
export interface StoredOutcome {
  workflow?: string
  version?: number
  matched?: boolean
  reason?: Reason
  detail?: string
  recipients?: number
  fanout?: { chunks: number; estimated: number }
  problem?: string
}

/** What a workflow's runs made of an event for one person. */
export function storyOfRuns(
  of: { key: string; version: number },
  runs: readonly ExplainedRun[],
): WorkflowStory {
  const standings = runs.map(standingOf)
  const outcome =
    (['told', 'not yet'] as const).find((wanted) => standings.some((one) => one.outcome === wanted)) ??
    'not told'
  const standing = standings.find((one) => one.outcome === outcome)
  return {
    key: of.key,
    version: of.version,
    outcome,
    ...(standing?.reason === undefined ? {} : { reason: standing.reason }),
    detail: standing?.detail ?? '',
    runs,
  }
}

type Standing = Pick<WorkflowStory, 'outcome' | 'detail' | 'reason'>

const ON_ITS_WAY = new Set(['queued', 'sending', 'retrying'])
const GONE = new Set(['sent', 'delivered'])

function standingOf(run: ExplainedRun): Standing {
  const deliveries = run.deliveries as { channel: string; status: string; reason: Reason | null }[]
  const gone = deliveries.filter(({ status }) => GONE.has(status)).map(({ channel }) => channel)
  const channels = [...new Set([...(run.inInbox === true ? ['inbox'] : []), ...gone])]
  if (channels.length > 0) return { outcome: 'told', detail: `it went to ${channels.join(', ')}` }
  const digest = run.digest as ExplainedRun | undefined
  if (digest !== undefined) {
    const { outcome, detail, reason } = standingOf(digest)
    return {
      outcome,
      detail: `it went into a digest: ${detail}`,
      ...(reason === undefined ? {} : { reason }),
    }
  }
  const last = run.reasons.at(-1)
  const detail = last === undefined ? String(run.state) : `${last.what}: ${last.why}`
  const reason = (run.reason ?? deliveries.find((delivery) => delivery.reason !== null)?.reason) as
    | Reason
    | null
    | undefined
  const pending =
    run.state === 'waiting' ||
    run.state === 'digested' ||
    deliveries.some(({ status }) => ON_ITS_WAY.has(status))
  return {
    outcome: pending ? 'not yet' : 'not told',
    detail,
    ...(reason == null ? {} : { reason }),
  }
}
