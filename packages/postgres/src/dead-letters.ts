import type { DeliveryChannel, DeliveryStatus, Lane, Reason } from '@carillon/contracts'
import type { DeliveryKey } from './deliveries.js'
import type { Queryable, Statement, Tx } from './tx.js'

/** Dead letters: deliveries that failed and stay so until somebody sends them off again. Request role, one tenant. */

/** Which dead letters are meant; what is absent narrows nothing. */
export interface DeadLetterFilter {
  channel?: DeliveryChannel | undefined
  /** Of the last attempt. */
  provider?: string | undefined
  reason?: Reason | undefined
  workflow?: string | undefined
  /** Internal id. */
  userId?: string | undefined
  /** When it failed: from then on … */
  from?: Date | undefined
  /** … and before then. */
  to?: Date | undefined
  /** True: only what was sent off again before and failed again; false: only what never was. */
  replayed?: boolean | undefined
}

/** Place of a dead letter in the order of their failing. Micros of the epoch: two of one millisecond keep theirs. */
export interface DeadLetterPlace {
  atMicros: number
  id: string
}

export interface DeadLetter extends DeliveryKey, DeadLetterPlace {
  channel: DeliveryChannel
  lane: Lane
  provider: string | null
  reason: Reason | null
  detail: string | null
  workflow: string
  /** The recipient's id as the outside calls them. */
  recipient: string
  attempts: number
  /** Attempts that may have rung without anybody knowing. */
  unknowns: number
  failedAt: Date
  expiresAt: Date | null
  replays: number
  replayedAt: Date | null
}

/** Holds for rows of `deliveries d` and `runs r`; the parameters are those of `filterValues`. */
const MATCHES = `d.tenant_id = $1 AND d.status = 'failed' AND d.purpose = 'notify'
  AND ($2::text IS NULL OR d.channel = $2) AND ($3::text IS NULL OR d.provider = $3) AND ($4::text IS NULL OR d.reason = $4)
  AND ($5::text IS NULL OR r.workflow_key = $5) AND ($6::uuid IS NULL OR d.user_id = $6)
  AND ($7::timestamptz IS NULL OR d.updated_at >= $7) AND ($8::timestamptz IS NULL OR d.updated_at < $8)
  AND ($9::boolean IS NULL OR (d.replays > 0) = $9)`

const AT_MICROS = '(extract(epoch FROM d.updated_at) * 1000000)::bigint'
const PLACE = `(timestamptz 'epoch' + $10 * interval '1 microsecond', $11::uuid)`

function filterValues(tenant: string, filter: DeadLetterFilter): unknown[] {
  const { channel, provider, reason, workflow, userId, from, to, replayed } = filter
  return [tenant, channel, provider, reason, workflow, userId, from, to, replayed]
}

export interface DeadLetterPage {
  tenant: string
  filter: DeadLetterFilter
  /** The last one of the page before. */
  after?: DeadLetterPlace | undefined
  limit: number
}

const LISTED = `d.run_id AS "runId", d.id, ${AT_MICROS} AS "atMicros", d.channel, d.lane, d.provider, d.reason, d.detail,
  r.workflow_key AS workflow, r.recipient, d.attempt_no AS attempts, d.unknowns, d.updated_at AS "failedAt",
  d.expires_at AS "expiresAt", d.replays, d.replayed_at AS "replayedAt"`

/** The statement of `listDeadLetters`, apart so that its plan can be asked for. */
export function deadLettersStatement({ tenant, filter, after, limit }: DeadLetterPage): Statement {
  const onwards = after === undefined ? '' : `AND (d.updated_at, d.id) < ${PLACE}`
  return {
    text: `SELECT ${LISTED} FROM deliveries d JOIN runs r ON r.id = d.run_id WHERE ${MATCHES} ${onwards}
      ORDER BY d.updated_at DESC, d.id DESC LIMIT ${after === undefined ? '$10' : '$12'}`,
    values: [
      ...filterValues(tenant, filter),
      ...(after === undefined ? [] : [after.atMicros, after.id]),
      limit,
    ],
  }
}

/** A page, what failed last first. */
export async function listDeadLetters(tx: Queryable, page: DeadLetterPage): Promise<DeadLetter[]> {
  return (await tx.query<DeadLetter>(deadLettersStatement(page))).rows
}

/** Those that match, what failed first first: what goes wrong first was meant to ring first. */
export async function deadLettersInOrder(
  tx: Queryable,
  { tenant, filter, after, limit }: DeadLetterPage,
): Promise<(DeliveryKey & DeadLetterPlace)[]> {
  const onwards = after === undefined ? '' : `AND (d.updated_at, d.id) > ${PLACE}`
  const { rows } = await tx.query<DeliveryKey & DeadLetterPlace>({
    text: `SELECT d.run_id AS "runId", d.id, ${AT_MICROS} AS "atMicros" FROM deliveries d JOIN runs r ON r.id = d.run_id
      WHERE ${MATCHES} ${onwards} ORDER BY d.updated_at, d.id LIMIT ${after === undefined ? '$10' : '$12'}`,
    values: [
      ...filterValues(tenant, filter),
      ...(after === undefined ? [] : [after.atMicros, after.id]),
      limit,
    ],
  })
  return rows
}

/** What a dead letter was to say. */
export interface DeadLetterContent {
  status: DeliveryStatus
  workflow: string
  version: number
  recipient: string
  category: string | null
  lane: Lane
  /** Rendered texts and options of the step; null when there are none. */
  content: unknown
}

/** One that failed, or that was sent off again after it had; undefined for every other delivery. */
export async function findDeadLetter(
  tx: Tx,
  letter: DeliveryKey & { tenant: string },
): Promise<DeadLetterContent | undefined> {
  const { rows } = await tx.query<DeadLetterContent>({
    text: `SELECT d.status, r.workflow_key AS workflow, r.workflow_version AS version, r.recipient, r.category, d.lane,
        coalesce(r.content -> d.step::text, r.content -> 'inbox') AS content
      FROM deliveries d JOIN runs r ON r.id = d.run_id
      WHERE d.tenant_id = $1 AND d.run_id = $2 AND d.id = $3 AND d.purpose = 'notify' AND (d.status = 'failed' OR d.replays > 0)`,
    values: [letter.tenant, letter.runId, letter.id],
  })
  return rows[0]
}

/** Dead letters by channel and reason. Counting stops after `atMost`: what comes together then means so many or more. */
export async function countDeadLetters(
  database: Queryable,
  atMost: number,
): Promise<{ channel: DeliveryChannel; reason: Reason | null; count: number }[]> {
  const { rows } = await database.query<{ channel: DeliveryChannel; reason: Reason | null; count: number }>({
    text: `SELECT channel, reason, count(*) AS count FROM (
        SELECT channel, reason FROM deliveries WHERE status = 'failed' AND purpose = 'notify' LIMIT $1) AS dead
      GROUP BY channel, reason ORDER BY channel, reason`,
    values: [atMost],
  })
  return rows
}
