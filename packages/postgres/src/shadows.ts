import type { Channel } from '@carillon/contracts'
import { plainArray, textArray } from './arrays.js'
import type { CounterKey } from './counters.js'
import type { Tx } from './tx.js'

/** What shadows of workflows would have told, beside what was told. */

export interface ShadowCount {
  tenant: string
  workflowKey: string
  shadowVersion: number
  /** 0: nothing is published. */
  publishedVersion: number
  channel: Channel
  /** People told by both, by the shadow alone, by the published version alone. */
  same: number
  more: number
  less: number
}

export interface ShadowExample {
  tenant: string
  workflowKey: string
  shadowVersion: number
  publishedVersion: number
  /** Row id. */
  eventId: string
  recipient: string
  atMs: number
  publishedJson: string
  shadowJson: string
}

/** Most examples kept of one version. */
const MOST_EXAMPLES = 20

/** Adds to the counts of a day and keeps examples while there are few. Counts must be distinct. Worker role. */
export async function addShadowResults(
  tx: Tx,
  results: { counts: readonly ShadowCount[]; examples: readonly ShadowExample[]; atMs: number },
): Promise<void> {
  const { examples, atMs } = results
  // in one order, so that two dispatchers can't wait in a circle
  const counts = [...results.counts].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
  if (counts.length > 0) {
    await tx.query({
      text: `INSERT INTO shadow_results AS r (tenant_id, workflow_key, shadow_version, published_version, channel, day, same, more, less)
      SELECT t, w, s, p, c, (to_timestamp($9 / 1000.0) AT TIME ZONE 'UTC')::date, a, m, l
      FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::text[], $6::int[], $7::int[], $8::int[]) AS n (t, w, s, p, c, a, m, l)
      ON CONFLICT (tenant_id, workflow_key, shadow_version, published_version, channel, day)
      DO UPDATE SET same = r.same + excluded.same, more = r.more + excluded.more, less = r.less + excluded.less`,
      values: [
        textArray(counts.map((one) => one.tenant)),
        textArray(counts.map((one) => one.workflowKey)),
        plainArray(counts.map((one) => one.shadowVersion)),
        plainArray(counts.map((one) => one.publishedVersion)),
        textArray(counts.map((one) => one.channel)),
        plainArray(counts.map((one) => one.same)),
        plainArray(counts.map((one) => one.more)),
        plainArray(counts.map((one) => one.less)),
        atMs,
      ],
    })
  }
  // whoever adds to the same counts has waited for them, and sees how many examples there are
  if (examples.length === 0) return
  await tx.query({
    text: `INSERT INTO shadow_examples (tenant_id, workflow_key, shadow_version, published_version, event_id, recipient, at, published, shadow)
        SELECT t, w, s, p, e, r, to_timestamp(a / 1000.0), pj, sj
        FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::uuid[], $6::text[], $7::float8[], $8::json[], $9::json[])
          WITH ORDINALITY AS n (t, w, s, p, e, r, a, pj, sj, place)
        WHERE (SELECT count(*) FROM shadow_examples x WHERE x.tenant_id = t AND x.workflow_key = w AND x.shadow_version = s)
          + place <= $10
        ON CONFLICT DO NOTHING`,
    values: [
      textArray(examples.map((one) => one.tenant)),
      textArray(examples.map((one) => one.workflowKey)),
      plainArray(examples.map((one) => one.shadowVersion)),
      plainArray(examples.map((one) => one.publishedVersion)),
      plainArray(examples.map((one) => one.eventId)),
      textArray(examples.map((one) => one.recipient)),
      plainArray(examples.map((one) => one.atMs)),
      textArray(examples.map((one) => one.publishedJson)),
      textArray(examples.map((one) => one.shadowJson)),
      MOST_EXAMPLES,
    ],
  })
}

function nameOf(count: ShadowCount): string {
  const { tenant, workflowKey, shadowVersion, publishedVersion, channel } = count
  return `${tenant} ${workflowKey} ${shadowVersion} ${publishedVersion} ${channel}`
}

/** Counters as they stand, without holding them; undefined where nothing was counted. Worker role. */
export async function readCounters(
  tx: Tx,
  keys: readonly Omit<CounterKey, 'windowEnd'>[],
): Promise<(number | undefined)[]> {
  if (keys.length === 0) return []
  const { rows } = await tx.queryArrays<[number, number]>({
    text: `SELECT k.place, c.count FROM unnest($1::text[], $2::uuid[], $3::text[], $4::float8[]) WITH ORDINALITY AS k (t, u, s, w, place)
      JOIN frequency_counters c ON c.tenant_id = k.t AND c.user_id = k.u AND c.scope = k.s AND c.window_start = to_timestamp(k.w / 1000.0)`,
    values: [
      textArray(keys.map((key) => key.tenant)),
      plainArray(keys.map((key) => key.userId)),
      textArray(keys.map((key) => key.scope)),
      plainArray(keys.map((key) => key.windowStart)),
    ],
  })
  const counts = new Map(rows.map(([place, count]) => [Number(place), count]))
  return keys.map((_, index) => counts.get(index + 1))
}

/** The comparison of one shadow with one published version. */
export interface ShadowComparison {
  shadowVersion: number
  publishedVersion: number
  from: string
  to: string
  channels: { channel: string; same: number; more: number; less: number }[]
}

/** Newest versions first. Request role. */
export async function listShadowResults(
  tx: Tx,
  workflow: { tenant: string; key: string },
): Promise<ShadowComparison[]> {
  const { rows } = await tx.query<ShadowComparison>({
    text: `SELECT shadow_version AS "shadowVersion", published_version AS "publishedVersion", min(first) AS from, max(last) AS to,
        json_agg(json_build_object('channel', channel, 'same', same, 'more', more, 'less', less) ORDER BY channel) AS channels
      FROM (SELECT shadow_version, published_version, channel, min(day)::text AS first, max(day)::text AS last,
          sum(same)::float8 AS same, sum(more)::float8 AS more, sum(less)::float8 AS less
        FROM shadow_results WHERE tenant_id = $1 AND workflow_key = $2 GROUP BY 1, 2, 3) AS c
      GROUP BY 1, 2 ORDER BY 1 DESC, 2 DESC`,
    values: [workflow.tenant, workflow.key],
  })
  return rows
}

export interface StoredShadowExample {
  shadowVersion: number
  publishedVersion: number
  eventId: string
  recipient: string
  at: Date
  published: unknown
  shadow: unknown
}

/** Newest first. Request role. */
export async function listShadowExamples(
  tx: Tx,
  workflow: { tenant: string; key: string; version: number },
): Promise<StoredShadowExample[]> {
  const { rows } = await tx.query<StoredShadowExample>({
    text: `SELECT shadow_version AS "shadowVersion", published_version AS "publishedVersion", event_id AS "eventId", recipient, at,
        published, shadow
      FROM shadow_examples WHERE tenant_id = $1 AND workflow_key = $2 AND shadow_version = $3 ORDER BY at DESC, event_id, recipient`,
    values: [workflow.tenant, workflow.key, workflow.version],
  })
  return rows
}
