import {
  deliveryId,
  eventHash,
  eventRowId,
  jobStream,
  jobSubject,
  runId,
  STREAMS,
  userId,
} from '@carillon/contracts'
import { type Connection, consume, createPublisher, createWindowPublisher, DONE } from '@carillon/jetstream'
import { claimEventKeys, type Database, insertDecisions } from '@carillon/postgres'
import { sha256 } from '@carillon/service'

/**
 * The least that writes the same rows and messages as the dispatcher does for dispatch-stage.ts: keys, an event, three
 * runs and a delivery in one transaction, one job, three frames, acknowledged. It looks nothing up, judges nothing and
 * renders nothing.
 */
export async function startRawPath(
  connection: Connection,
  database: Database,
  durable: { stream: string; durable: string },
): Promise<AsyncDisposable> {
  const publisher = createPublisher(connection)
  const frames = createWindowPublisher(connection, { stream: STREAMS.live })
  const consumption = consume(connection, { ...durable, batch: 500, concurrency: 2 }, async (batch) => {
    const events = batch.map((message) => {
      const data = message.text()
      const event = { tenant: 'bench', source: '/bench', id: message.header('ce-id') ?? '' }
      return {
        event,
        data,
        hash: eventHash(sha256, event),
        user: userId(sha256, 'bench', (JSON.parse(data) as { customerId: string }).customerId),
      }
    })
    const rows = await database.inTransaction(async (tx) => {
      const claimed = await claimEventKeys(
        tx,
        events.map(({ hash }) => hash.subarray(0, 16)),
      )
      const made = events.map((entry) =>
        rowsOf(entry, claimed.get(Buffer.from(entry.hash.subarray(0, 16)).toString('hex'))?.firstSeenMs ?? 0),
      )
      await insertDecisions(tx, {
        events: made.map((row) => row.event),
        runs: made.flatMap((row) => row.runs),
        deliveries: made.map((row) => row.delivery),
      })
      return made
    })
    await Promise.all([
      publisher.publishAll(
        jobStream('push'),
        rows.map(({ delivery }) => ({
          subject: jobSubject('push', 'normal', 'bench'),
          body: `{"deliveryId":"${delivery.id}","runId":"${delivery.runId}"}`,
        })),
      ),
      frames.publishAll(
        rows.flatMap(({ runs }) =>
          runs.map((run) => ({
            subject: `rt.bench.user.${run.userId}`,
            messageId: `${run.id}.created`,
            body: `{"type":"notification.created","id":"${run.id}","notification":${FRAME}}`,
          })),
        ),
      ),
    ])
    return batch.map(() => DONE)
  })
  return {
    async [Symbol.asyncDispose]() {
      await consumption[Symbol.asyncDispose]()
      await publisher[Symbol.asyncDispose]()
      await frames[Symbol.asyncDispose]()
    },
  }
}

/** Texts of the lengths that the dispatcher writes. */
const PLAN =
  '[{"at":1790000000000,"steps":[{"step":0,"type":"inbox","outcome":"deliver","detail":"nobody switched it off"},{"step":1,"type":"push","outcome":"deliver","detail":"nobody switched it off; to 1 device","addresses":[{"kind":"device","id":"00000000-0000-0000-0000-000000000000"}]}]}]'
const CONTENT = '{"inbox":{"title":"Mira is on the way","body":"blue Ioniq, W-4711, 4 min"}}'
const OUTCOME = `[${['ride-accepted', 'ride-log', 'ride-followed'].map((key) => `{"workflow":"${key}","version":1,"matched":true,"recipients":1}`).join(',')},${['ride-graz', 'ride-late', 'ride-shared'].map((key) => `{"workflow":"${key}","version":1,"matched":false,"reason":"CONDITION_FALSE","detail":"the condition data.minutes > 30 is false"}`).join(',')}]`
const FRAME =
  '{"id":"00000000-0000-0000-0000-000000000000","workflow":"ride-accepted","category":"rides","title":"Mira is on the way","body":"blue Ioniq, W-4711, 4 min","url":null,"data":null,"lane":"normal","createdAt":"2026-01-01T00:00:00.000Z","seenAt":null,"readAt":null,"archivedAt":null}'

function rowsOf(
  entry: { event: { id: string }; data: string; hash: Uint8Array; user: string },
  firstSeenMs: number,
) {
  const event = eventRowId(firstSeenMs, entry.hash)
  const dueAtMs = firstSeenMs + 60_000
  const expiresAtMs = firstSeenMs + 3_600_000
  const runs = ['ride-accepted', 'ride-log', 'ride-followed'].map((workflow) => {
    const waits = workflow === 'ride-followed'
    return {
      id: runId(sha256, { firstSeenMs, eventRow: event, workflow, recipient: entry.user }),
      tenant: 'bench',
      eventId: event,
      workflowKey: workflow,
      workflowVersion: 1,
      userId: entry.user,
      recipient: 'u1',
      lane: 'normal' as const,
      category: 'rides',
      state: waits ? ('waiting' as const) : ('completed' as const),
      reason: null,
      planJson: PLAN,
      contentJson: CONTENT,
      nextStep: waits ? 2 : null,
      wakeAtMs: waits ? firstSeenMs + 86_400_000 : null,
      inInbox: true,
      expiresAtMs: workflow === 'ride-accepted' ? expiresAtMs : null,
      collapseKey: workflow === 'ride-accepted' ? 'ride-1' : null,
      cancelKey: null,
      wakeOnSeen: waits,
      heldJson: null,
      resumeAtMs: waits ? firstSeenMs + 86_400_000 : null,
      digestId: null,
      digestPlace: null,
      createdAtMs: firstSeenMs,
    }
  })
  const run = runs[0]?.id ?? ''
  return {
    event: {
      id: event,
      tenant: 'bench',
      source: '/bench',
      eventId: entry.event.id,
      type: 'rides.ride.accepted.v1',
      subject: null,
      time: null,
      lane: 'normal' as const,
      dataJson: entry.data,
      outcomeJson: OUTCOME,
      firstSeenMs,
    },
    runs,
    delivery: {
      runId: run,
      id: deliveryId(sha256, { run, step: 1, address: 'device:00000000-0000-0000-0000-000000000000' }),
      tenant: 'bench',
      userId: entry.user,
      channel: 'push' as const,
      lane: 'normal' as const,
      step: 1,
      addressKind: 'device' as const,
      address: '00000000-0000-0000-0000-000000000000',
      maxAttempts: 3,
      dueAtMs,
      expiresAtMs,
      createdAtMs: firstSeenMs,
    },
  }
}
