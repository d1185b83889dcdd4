import { type DomainEvent, type FanoutChunk, fanoutSubject, STREAMS } from '@carillon/contracts'
import type { CompiledWorkflow } from '@carillon/decisions'
import type { OutgoingMessage, PublishOutcome } from '@carillon/jetstream'
import type { FanoutRow, OpenFanout } from '@carillon/postgres'
import type { Fanout } from './ranges.js'

/** The row of a fan-out: what its chunks need to go on without the event's transaction. */
export function fanoutRow(
  entry: { event: DomainEvent; rowId: string },
  workflow: CompiledWorkflow,
  fanout: Fanout,
): FanoutRow {
  return {
    eventId: entry.rowId,
    tenant: entry.event.tenant,
    workflowKey: workflow.key,
    workflowVersion: workflow.version,
    lane: workflow.lane ?? entry.event.lane,
    chunks: fanout.chunks,
  }
}

export function allChunks({ chunks }: FanoutRow): number[] {
  return Array.from({ length: chunks }, (_, index) => index)
}

/** Messages published together; a fan-out to ten millions has twenty thousand. */
const TOGETHER = 1_000

/**
 * Publishes a message for each missing chunk. What finds no room or no broker is left to the waker: the row knows what
 * is missing. Gives how many were refused.
 */
export async function publishChunks(
  fanouts: readonly OpenFanout[],
  publish: (stream: string, messages: readonly OutgoingMessage[]) => Promise<PublishOutcome[]>,
): Promise<number> {
  let refused = 0
  for (const fanout of fanouts) {
    for (let from = 0; from < fanout.missing.length; from += TOGETHER) {
      const messages = fanout.missing.slice(from, from + TOGETHER).map((chunk) => chunkMessage(fanout, chunk))
      const outcomes = await publish(STREAMS.jobsFanout, messages)
      refused += outcomes.filter((outcome) => !outcome.ok).length
    }
  }
  return refused
}

function chunkMessage({ eventId, workflowKey, lane, tenant }: FanoutRow, chunk: number): OutgoingMessage {
  const body: FanoutChunk = { eventId, workflow: workflowKey, chunk }
  return { subject: fanoutSubject(lane, tenant), body: JSON.stringify(body) }
}
