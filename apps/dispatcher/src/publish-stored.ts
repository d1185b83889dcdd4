import { jobStream, jobSubject, type Lane, STREAMS } from '@carillon/contracts'
import type { OutgoingMessage, PublishOutcome } from '@carillon/jetstream'
import type { StoredDelivery, StoredRun } from '@carillon/postgres'
import { createdFrame } from './frames.js'

/** What publication needs, in the dispatcher's words. */
export interface Publishing {
  publishJobs(stream: string, messages: readonly OutgoingMessage[]): Promise<PublishOutcome[]>
  publishFrames(messages: readonly OutgoingMessage[]): Promise<PublishOutcome[]>
  /** True when the frame with this message id is stored on the subject since then. */
  wasPublished(frame: {
    stream: string
    subject: string
    sinceMs: number
    messageId: string
  }): Promise<boolean>
}

export interface Published {
  /** Deliveries whose job found no room or no broker; their rows bring them again. */
  refused: StoredDelivery[]
  refusedByStream: Map<string, number>
  /** Set when a frame could not be stored: the whole pass has to be repeated. */
  framesFailed: string | undefined
}

/** Longer than this ago the stream's own duplicate window no longer drops a repeated frame. */
const DUPLICATE_WINDOW_MS = 90_000
/** Longer than this ago the frame has aged out of LIVE: the inbox has it, a frame would come twice. */
const LIVE_AGE_MS = 24 * 60 * 60 * 1000

/**
 * Publishes jobs and frames from rows that are committed, never from a plan: on a second pass facts have moved, the
 * rows have not. A stream of jobs that is full keeps nothing else waiting. `bornMs` is when a run's frame was first
 * due: older frames are looked up before they are stored again.
 */
export async function publishStored(
  rows: { runs: readonly StoredRun[]; deliveries: readonly StoredDelivery[] },
  publishing: Publishing,
  clock: { nowMs: number; bornMs: (run: StoredRun) => number },
): Promise<Published> {
  const [jobs, framesFailed] = await Promise.all([
    publishJobs(rows.deliveries, publishing),
    publishFrames(rows.runs, publishing, clock),
  ])
  return { ...jobs, framesFailed }
}

async function publishJobs(
  deliveries: readonly StoredDelivery[],
  publishing: Publishing,
): Promise<{ refused: StoredDelivery[]; refusedByStream: Map<string, number> }> {
  const byStream = new Map<string, StoredDelivery[]>()
  for (const delivery of deliveries) {
    const stream = jobStream(delivery.channel)
    const group = byStream.get(stream)
    if (group === undefined) byStream.set(stream, [delivery])
    else group.push(delivery)
  }
  const refused: StoredDelivery[] = []
  const refusedByStream = new Map<string, number>()
  await Promise.all(
    [...byStream].map(async ([stream, group]) => {
      const outcomes = await publishing.publishJobs(stream, group.map(jobMessage))
      outcomes.forEach((outcome, index) => {
        if (outcome.ok) return
        refused.push(group[index] as StoredDelivery)
        refusedByStream.set(stream, (refusedByStream.get(stream) ?? 0) + 1)
      })
    }),
  )
  return { refused, refusedByStream }
}

/** The job of a delivery: a hint, everything else is in the row. */
export function jobMessage(delivery: {
  runId: string
  id: string
  tenant: string
  channel: StoredDelivery['channel']
  lane: Lane
}): OutgoingMessage {
  return {
    subject: jobSubject(delivery.channel, delivery.lane, delivery.tenant),
    body: `{"deliveryId":"${delivery.id}","runId":"${delivery.runId}"}`,
  }
}

async function publishFrames(
  runs: readonly StoredRun[],
  publishing: Publishing,
  clock: { nowMs: number; bornMs: (run: StoredRun) => number },
): Promise<string | undefined> {
  const frames: OutgoingMessage[] = []
  for (const run of runs) {
    const frame = createdFrame(run)
    if (frame === undefined) continue
    const age = clock.nowMs - clock.bornMs(run)
    if (age > LIVE_AGE_MS) continue
    if (age > DUPLICATE_WINDOW_MS && (await isStored(frame, run, publishing))) continue
    frames.push(frame)
  }
  if (frames.length === 0) return undefined
  const outcomes = await publishing.publishFrames(frames)
  const failed = outcomes.find((outcome) => !outcome.ok)
  return failed === undefined || failed.ok ? undefined : failed.error.message
}

function isStored(frame: OutgoingMessage, run: StoredRun, publishing: Publishing): Promise<boolean> {
  return publishing.wasPublished({
    stream: STREAMS.live,
    subject: frame.subject,
    sinceMs: run.createdAtMs,
    messageId: frame.messageId as string,
  })
}
