import {
  countRuns,
  type EventRecord,
  type FanoutProgress,
  fanoutsOfEvent,
  type RunCount,
  runsOfEvent,
  type Tx,
} from '@carillon/postgres'
import { explainRuns } from './explained.js'
import { shownEvent } from './explained-event.js'
import type { StoredOutcome } from './explained-outcome.js'

/** Most runs that are counted: what asks about a broadcast mustn't read a million rows. */
const MOST_COUNTED = 100_000
/** Runs whose stories come along. */
const FIRST_RUNS = 20

/** What an event did as a whole: per workflow what became of its runs, and the first stories. */
export async function summariseEvent(
  tx: Tx,
  { tenant, event }: { tenant: string; event: EventRecord },
): Promise<Record<string, unknown>> {
  const stored = event.outcome as StoredOutcome[]
  const problem = stored.find((one) => one.problem !== undefined)?.problem
  const counts = await countRuns(tx, { tenant, eventId: event.id, limit: MOST_COUNTED })
  const fanouts = await fanoutsOfEvent(tx, { tenant, id: event.id })
  const first = await runsOfEvent(tx, { tenant, eventId: event.id, limit: FIRST_RUNS })
  const workflows = stored
    .filter((one) => one.workflow !== undefined)
    .map((outcome) => ({
      ...outcome,
      runs: counts
        .filter(({ workflow }) => workflow === outcome.workflow)
        .map(({ state, reason, count }) => ({ state, reason, count })),
      progress: fanouts.find(({ workflow }) => workflow === outcome.workflow) ?? null,
    }))
  const counted = counts.reduce((sum, { count }) => sum + count, 0)
  const arrived = `The event ${event.type} (${event.eventId}) arrived from ${event.source} at ${event.firstSeen.toISOString()}.`
  return {
    event: shownEvent(event, false),
    text: [
      arrived,
      ...(problem === undefined
        ? []
        : [
            `It could not be processed as it is, and stands among the dead letters: ${problem.replace(/\.$/, '')}.`,
          ]),
      ...(workflows.length === 0
        ? ['No workflow that was in force listened to its type.']
        : workflows.map(workflowText)),
      ...(counted === 0 ? ['It told nobody.'] : []),
      ...(counted >= MOST_COUNTED ? [`Only ${MOST_COUNTED} runs were counted.`] : []),
    ].join(' '),
    workflows,
    ...(problem === undefined ? {} : { problem }),
    counted: { runs: counted, complete: counted < MOST_COUNTED },
    runs: await explainRuns(tx, { tenant, event, runs: first }),
  }
}

function workflowText(
  one: StoredOutcome & {
    runs: readonly Pick<RunCount, 'state' | 'reason' | 'count'>[]
    progress: FanoutProgress | null
  },
): string {
  const name = `Workflow "${one.workflow}" version ${one.version}`
  const detail = one.detail === undefined ? '' : `: ${one.detail}`
  if (one.matched !== true) return `${name} listened and did not match${detail}.`
  const runs = one.runs.map(
    ({ state, reason, count }) => `${count} ${state}${reason === null ? '' : ` (${reason})`}`,
  )
  const parts =
    one.progress === null ? '' : `, in ${one.progress.chunks} parts of which ${one.progress.done} are done`
  if (runs.length > 0) return `${name} matched${parts}; of its runs ${runs.join(', ')}.`
  return `${name} matched${parts}, and there is no run of it${detail}.`
}
