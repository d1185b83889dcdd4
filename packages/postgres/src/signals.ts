import { momentArray, plainArray, textArray } from './arrays.js'
import type { Tx } from './tx.js'

/** Runs that wait for an event, and the events that somebody may wait for. Worker role. */

export interface SignalRow {
  tenant: string
  type: string
  /** The expression that told the key. */
  expression: string
  key: string
  /** Row id of the event. */
  eventId: string
  firstSeenMs: number
}

export async function insertSignals(tx: Tx, signals: readonly SignalRow[]): Promise<void> {
  if (signals.length === 0) return
  await tx.query({
    text: `INSERT INTO signals (tenant_id, type, expression, key, event_id, first_seen)
      SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::timestamptz[]) ON CONFLICT DO NOTHING`,
    values: [
      textArray(signals.map((signal) => signal.tenant)),
      textArray(signals.map((signal) => signal.type)),
      textArray(signals.map((signal) => signal.expression)),
      textArray(signals.map((signal) => signal.key)),
      plainArray(signals.map((signal) => signal.eventId)),
      momentArray(signals.map((signal) => signal.firstSeenMs)),
    ],
  })
}

export interface AwaitRow {
  runId: string
  tenant: string
  type: string
  expression: string
  key: string
  /** An event first seen before this counts no more. */
  sinceMs: number
}

/** Stores what runs wait for; a run waits for one event at a time. */
export async function insertAwaits(tx: Tx, awaits: readonly AwaitRow[]): Promise<void> {
  if (awaits.length === 0) return
  await tx.query({
    text: `INSERT INTO awaits (run_id, tenant_id, type, expression, key, since)
      SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
      ON CONFLICT (run_id) DO UPDATE SET type = excluded.type, expression = excluded.expression, key = excluded.key, since = excluded.since`,
    values: [
      plainArray(awaits.map((one) => one.runId)),
      textArray(awaits.map((one) => one.tenant)),
      textArray(awaits.map((one) => one.type)),
      textArray(awaits.map((one) => one.expression)),
      textArray(awaits.map((one) => one.key)),
      momentArray(awaits.map((one) => one.sinceMs)),
    ],
  })
}

/** Runs that wait no more. */
export async function deleteAwaits(tx: Tx, runIds: readonly string[]): Promise<void> {
  if (runIds.length === 0) return
  await tx.query({ text: 'DELETE FROM awaits WHERE run_id = ANY ($1::uuid[])', values: [plainArray(runIds)] })
}

const MEETS = `FROM awaits a JOIN signals s USING (tenant_id, type, expression, key)
  JOIN runs r ON r.id = a.run_id WHERE s.first_seen >= a.since AND s.event_id <> r.event_id`

/**
 * Wakes the runs whose event has come: those that these events meet, and those of these runs whose event was there
 * before them. To be called after the commit of both: each side looks for the other then, and one of them finds it.
 * Returns how many were woken.
 */
export async function wakeAwaiting(
  tx: Tx,
  met: { events: readonly string[]; runs: readonly string[] },
): Promise<number> {
  const { rowCount } = await tx.query({
    text: `UPDATE runs SET wake_at = now() WHERE wake_at > now() AND NOT publish_pending AND id IN (
        SELECT r.id ${MEETS} AND s.event_id = ANY ($1::uuid[])
        UNION SELECT r.id ${MEETS} AND a.run_id = ANY ($2::uuid[]))`,
    values: [plainArray(met.events), plainArray(met.runs)],
  })
  return rowCount
}

/** The first event that a run waited for and that came. */
export interface AwaitedEvent {
  runId: string
  type: string
  key: string
  data: unknown
  at: number
}

export async function loadAwaited(tx: Tx, runIds: readonly string[]): Promise<AwaitedEvent[]> {
  const { rows } = await tx.query<AwaitedEvent>({
    text: `SELECT DISTINCT ON (met.run) met.run AS "runId", met.type, met.key, e.data, (extract(epoch FROM met.at) * 1000)::float8 AS at
      FROM (SELECT a.run_id AS run, a.type, a.key, s.event_id AS event, s.first_seen AS at ${MEETS} AND a.run_id = ANY ($1::uuid[])) AS met
      JOIN events e ON e.id = met.event ORDER BY met.run, met.at, met.event`,
    values: [plainArray(runIds)],
  })
  return rows
}
