import type { DeliveryChannel, DeliveryStatus, Lane, Reason } from '@carillon/contracts'
import { momentArray, plainArray, textArray } from './arrays.js'
import { FORGOTTEN, forgottenAddress } from './forgetting.js'
import { countUnread, MOST_UNREAD } from './inbox.js'
import type { Tx } from './tx.js'

/** The worker's fence around a provider call: claim before, close after, both in one statement per batch. */

export interface DeliveryKey {
  runId: string
  id: string
}

/** A delivery as its worker needs it, with everything it goes to and says. */
export interface ClaimedDelivery extends DeliveryKey {
  tenant: string
  userId: string
  channel: DeliveryChannel
  lane: Lane
  step: number
  /** `sending`: it is ours now. Anything else: it ended instead, and why stands in `reason`. */
  status: Extract<DeliveryStatus, 'sending' | 'expired' | 'failed' | 'withdrawn' | 'skipped'>
  reason: Reason | null
  /** `clear`: it takes the notification off a device that shows it. */
  purpose: 'notify' | 'clear'
  /** This attempt's number, from 1. */
  attempt: number
  maxAttempts: number
  /** Attempts that each account of the provider is given. */
  attemptsEach: number
  /** Accounts that have used theirs up. */
  tried: string[]
  /** Attempts before this one that may have rung without anybody knowing. */
  unknowns: number
  /** The moment that was booked for it at an account whose pace is limited. */
  pacedAt: Date | null
  expiresAt: Date | null
  /** When it was taken, by the database's clock. */
  claimedAt: Date
  addressKind: 'device' | 'email' | 'phone' | 'webhook'
  address: string
  device: {
    kind: 'fcm' | 'apns' | 'webpush'
    app: string
    address: Record<string, string>
    status: 'active' | 'suspended' | 'gone'
    /** Of the Live Activity that the step names, when the app has registered it. */
    activityToken: string | null
  } | null
  userName: string | null
  workflowKey: string
  category: string | null
  /** The category can't be switched off. */
  critical: boolean
  collapseKey: string | null
  content: Record<string, Record<string, unknown>> | null
  /** Push: how many notifications wait unread in the inbox, at most 1000. */
  unread: number | null
  event: { id: string; type: string; source: string; data: unknown } | null
}

/** A step's own word on whether being seen takes a waiting push back; what shows nothing has nothing to be seen. */
const UNLESS_SEEN = `coalesce(r.content #>> ARRAY[d.step::text, 'options', 'unlessSeen'],
  CASE WHEN r.content #>> ARRAY[d.step::text, 'options', 'silent'] = 'true' THEN 'false' ELSE 'true' END) = 'true'`

/** The Live Activity that the step is about; one that is yet to begin is started through a token of its own. What clears a screen clears the device's. */
const ACTIVITY = `CASE WHEN c.purpose = 'clear' THEN NULL ELSE CASE r.content #>> ARRAY[c.step::text, 'options', 'liveActivity', 'event'] WHEN 'start' THEN 'start'
  ELSE r.content #>> ARRAY[c.step::text, 'options', 'liveActivity', 'id'] END END`

/**
 * The account that lost its last attempt with its worker, when another one is left: the one asked before, else the first
 * in order. Accounts are chosen as the worker does it: those of the device's app, else those of all apps.
 */
const LOST_ACCOUNT = `(SELECT CASE WHEN count(*) > 1 THEN (array_agg(p.id ORDER BY (p.id = d.account) IS TRUE DESC, p.position, p.name))[1] END
  FROM providers p LEFT JOIN devices v ON v.tenant_id = d.tenant_id AND v.id = CASE WHEN d.address_kind = 'device' THEN d.address::uuid END
  WHERE p.tenant_id = d.tenant_id AND p.id <> ALL (d.tried) AND d.max_attempts::int + d.attempts_each < 32767
    AND p.kind = CASE d.address_kind WHEN 'email' THEN 'smtp' WHEN 'phone' THEN 'sms' WHEN 'webhook' THEN 'webhook' ELSE v.kind END
    AND p.app = CASE WHEN EXISTS (SELECT FROM providers o WHERE o.tenant_id = p.tenant_id AND o.kind = p.kind AND o.app = v.app)
      THEN v.app ELSE 'default' END)`

/**
 * Takes deliveries for sending: counts the attempt, leases the row, writes the attempt without a verdict. What has
 * expired, was seen meanwhile, goes to a suppressed address or to somebody who was deleted, or has no attempts left ends
 * here. A lapsed lease is taken too: its attempt is an unknown one like any other, so after an account's last one the next
 * account is asked. Rows that somebody else took, sent or withdrew, and those whose next attempt is yet to come, are
 * missing from the answer: their job is only a hint.
 */
export async function claimDeliveries(
  tx: Tx,
  keys: readonly DeliveryKey[],
  options: { leaseMs: number },
): Promise<ClaimedDelivery[]> {
  const sorted = sortKeys(keys)
  const { rows } = await tx.query<ClaimedDelivery>({
    name: 'delivery-claim',
    text: `WITH wanted AS (
        SELECT d.run_id, d.id, d.status = 'sending' AS lapsed, s.reason AS suppressed, s.since, u.id IS NULL AS forgotten, u.name AS user_name,
          CASE WHEN u.id IS NULL THEN 'withdrawn'
            WHEN d.expires_at <= now() THEN 'expired'
            WHEN r.seen_at IS NOT NULL AND d.channel = 'push' AND d.purpose = 'notify' AND ${UNLESS_SEEN} THEN 'withdrawn'
            WHEN s.address IS NOT NULL AND (s.reason <> 'complained' OR NOT coalesce(k.critical, false)) THEN 'skipped'
            WHEN d.attempt_no >= d.max_attempts THEN 'spent'
            ELSE 'sending' END AS becomes,
          CASE WHEN d.attempt_no >= d.max_attempts THEN ${LOST_ACCOUNT} END AS lost
        FROM unnest($1::uuid[], $2::uuid[]) AS w (run_id, id) JOIN deliveries d USING (run_id, id) JOIN runs r ON r.id = d.run_id AND r.tenant_id = d.tenant_id
          LEFT JOIN users u ON u.tenant_id = d.tenant_id AND u.id = d.user_id
          LEFT JOIN categories k ON k.tenant_id = d.tenant_id AND k.key = r.category
          LEFT JOIN suppressions s ON s.tenant_id = d.tenant_id AND s.kind = d.address_kind
            AND s.address = CASE d.address_kind WHEN 'webhook' THEN d.address ELSE lower(d.address) END
        WHERE d.status = 'queued' OR (d.status IN ('retrying', 'sending') AND d.due_at <= now())
        ORDER BY d.run_id, d.id FOR UPDATE OF d SKIP LOCKED
      ), judged AS (
        SELECT w.run_id, w.id, w.lapsed, w.suppressed, w.since, w.forgotten, w.user_name,
          CASE WHEN w.becomes <> 'spent' THEN w.becomes WHEN w.lost IS NULL THEN 'failed' ELSE 'sending' END AS becomes,
          CASE w.becomes WHEN 'spent' THEN w.lost END AS lost
        FROM wanted w
      ), unanswered AS (
        UPDATE attempts a SET verdict = 'unknown', reason = 'worker lost', finished_at = now()
        FROM judged w WHERE w.lapsed AND a.run_id = w.run_id AND a.delivery_id = w.id AND a.finished_at IS NULL
      ), claimed AS (
        UPDATE deliveries d SET
          status = w.becomes,
          reason = CASE WHEN w.forgotten THEN 'NO_RECIPIENT' ELSE CASE w.becomes WHEN 'expired' THEN 'EXPIRED' WHEN 'withdrawn' THEN 'ALREADY_SEEN'
            WHEN 'skipped' THEN 'ADDRESS_INVALID' WHEN 'failed' THEN 'PROVIDER_UNAVAILABLE' END END,
          detail = CASE WHEN w.forgotten THEN '${FORGOTTEN}'
            WHEN w.becomes = 'skipped' THEN 'suppressed since ' || to_char(w.since AT TIME ZONE 'UTC', 'YYYY-MM-DD') || ': ' || w.suppressed END,
          address = CASE WHEN w.forgotten THEN ${forgottenAddress('d')} ELSE d.address END,
          attempt_no = d.attempt_no + CASE w.becomes WHEN 'sending' THEN 1 ELSE 0 END,
          attempts_each = CASE d.attempt_no WHEN 0 THEN d.max_attempts ELSE d.attempts_each END,
          max_attempts = d.max_attempts + CASE WHEN w.lost IS NULL THEN 0 ELSE d.attempts_each END,
          tried = CASE WHEN w.lost IS NULL THEN d.tried ELSE d.tried || w.lost END,
          unknowns = d.unknowns + w.lapsed::int,
          due_at = CASE w.becomes WHEN 'sending' THEN now() + make_interval(secs => $3 / 1000.0) END,
          updated_at = now()
        FROM judged w WHERE d.run_id = w.run_id AND d.id = w.id
        RETURNING d.*, w.user_name
      ), begun AS (
        INSERT INTO attempts (run_id, delivery_id, attempt_no, tenant_id, started_at)
        SELECT run_id, id, attempt_no, tenant_id, now() FROM claimed WHERE status = 'sending' ON CONFLICT DO NOTHING
      )
      SELECT c.run_id AS "runId", c.id, c.tenant_id AS tenant, c.user_id AS "userId", c.channel, c.lane, c.step, c.status, c.reason, c.purpose,
        c.attempt_no AS attempt, c.max_attempts AS "maxAttempts", c.attempts_each AS "attemptsEach", c.tried, c.unknowns,
        c.paced_at AS "pacedAt", c.expires_at AS "expiresAt", now() AS "claimedAt", c.address_kind AS "addressKind", c.address,
        CASE WHEN v.id IS NOT NULL THEN json_build_object('kind', v.kind, 'app', v.app, 'address', v.address, 'status', v.status,
          'activityToken', l.token) END AS device,
        c.user_name AS "userName", r.workflow_key AS "workflowKey", r.category, coalesce(k.critical, false) AS critical, r.collapse_key AS "collapseKey", r.content,
        CASE WHEN c.channel = 'push' AND c.status = 'sending' THEN (${countUnread('c.tenant_id', 'c.user_id', `${MOST_UNREAD}`)}) END AS unread,
        CASE WHEN c.channel = 'webhook' THEN (SELECT json_build_object('id', e.event_id, 'type', e.type, 'source', e.source, 'data', e.data)
          FROM events e WHERE e.id = r.event_id) END AS event
      FROM claimed c JOIN runs r ON r.id = c.run_id AND r.tenant_id = c.tenant_id
        LEFT JOIN categories k ON k.tenant_id = c.tenant_id AND k.key = r.category
        LEFT JOIN devices v ON v.tenant_id = c.tenant_id AND v.id = CASE WHEN c.address_kind = 'device' THEN c.address::uuid END
          AND v.user_id = c.user_id -- who signs in on it next must not see it
        LEFT JOIN live_activities l ON l.tenant_id = v.tenant_id AND l.device_id = v.id AND l.activity = ${ACTIVITY}`,
    values: [
      plainArray(sorted.map((key) => key.runId)),
      plainArray(sorted.map((key) => key.id)),
      options.leaseMs,
    ],
  })
  return rows
}

/** What became of one attempt, as it is written. */
export interface ClosedAttempt extends DeliveryKey {
  attempt: number
  status: Extract<DeliveryStatus, 'sent' | 'retrying' | 'failed' | 'expired'>
  reason: Reason | null
  detail: string | null
  /** When it is tried again; null once it isn't. */
  dueAtMs: number | null
  provider: string | null
  providerId: string | null
  /** The verdict's kind, for the attempt's row. */
  verdict: string
  /** Attempts that don't count (a provider on hold) leave room for one more; another account brings its own. */
  extraAttempts: number
  /** The account that was asked. */
  account: string | null
  /** Nobody was asked, so it was no attempt: its number is given back. */
  uncounted: boolean
  /** The account has used its attempts up: the next one is asked. */
  givesUpAccount: boolean
  /** The moment booked for the next attempt; null when nothing is. */
  pacedAtMs: number | null
}

/** Closes attempts. A row that went on without us (its lease lapsed) is left alone and missing from the answer. */
export async function closeAttempts(tx: Tx, attempts: readonly ClosedAttempt[]): Promise<Set<string>> {
  const sorted = sortKeys(attempts)
  const { rows } = await tx.queryArrays<[string]>({
    name: 'delivery-close',
    text: `WITH n AS (
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[], $9::text[], $10::text[], $11::smallint[],
          $12::uuid[], $13::boolean[], $14::timestamptz[], $15::boolean[])
          AS n (run_id, id, attempt_no, status, reason, detail, due_at, provider, provider_id, verdict, extra, account, gives_up, paced_at, uncounted)
      ), noted AS (
        UPDATE attempts a SET verdict = n.verdict, reason = n.reason, detail = n.detail, provider = n.provider,
          provider_id = n.provider_id, account = n.account, finished_at = now()
        FROM n WHERE a.run_id = n.run_id AND a.delivery_id = n.id AND a.attempt_no = n.attempt_no AND a.finished_at IS NULL AND NOT n.uncounted
      ), dropped AS (
        DELETE FROM attempts a USING n
        WHERE n.uncounted AND a.run_id = n.run_id AND a.delivery_id = n.id AND a.attempt_no = n.attempt_no AND a.finished_at IS NULL
      )
      UPDATE deliveries d SET status = n.status, reason = n.reason, detail = n.detail, due_at = n.due_at,
        provider = coalesce(n.provider, d.provider), provider_id = coalesce(n.provider_id, d.provider_id),
        account = coalesce(n.account, d.account), paced_at = n.paced_at,
        tried = CASE WHEN n.gives_up THEN d.tried || n.account ELSE d.tried END,
        unknowns = d.unknowns + (n.verdict = 'unknown')::int, attempt_no = d.attempt_no - n.uncounted::int,
        max_attempts = least(32767, d.max_attempts::int + n.extra), sent_at = CASE WHEN n.status = 'sent' THEN now() ELSE d.sent_at END, updated_at = now()
      FROM n WHERE d.run_id = n.run_id AND d.id = n.id AND d.status = 'sending' AND d.attempt_no = n.attempt_no
      RETURNING d.id`,
    values: [
      plainArray(sorted.map((row) => row.runId)),
      plainArray(sorted.map((row) => row.id)),
      plainArray(sorted.map((row) => row.attempt)),
      textArray(sorted.map((row) => row.status)),
      textArray(sorted.map((row) => row.reason)),
      textArray(sorted.map((row) => row.detail)),
      momentArray(sorted.map((row) => row.dueAtMs)),
      textArray(sorted.map((row) => row.provider)),
      textArray(sorted.map((row) => row.providerId)),
      textArray(sorted.map((row) => row.verdict)),
      plainArray(sorted.map((row) => row.extraAttempts)),
      textArray(sorted.map((row) => row.account)),
      plainArray(sorted.map((row) => row.givesUpAccount)),
      momentArray(sorted.map((row) => row.pacedAtMs)),
      plainArray(sorted.map((row) => row.uncounted)),
    ],
  })
  return new Set(rows.map(([id]) => id))
}

/** A notifying delivery that has ended or gone out, for receipts that a crash kept from being published. */
export interface EndedDelivery extends DeliveryKey {
  tenant: string
  userId: string
  channel: DeliveryChannel
  /** `delivered`: somebody said so before it was written down that it was sent. */
  status: Extract<DeliveryStatus, 'sent' | 'delivered' | 'failed' | 'expired'>
  reason: Reason | null
  attempt: number
  provider: string | null
  providerId: string | null
  updatedAt: Date
}

export async function loadEnded(
  tx: Pick<Tx, 'query'>,
  keys: readonly DeliveryKey[],
): Promise<EndedDelivery[]> {
  const sorted = sortKeys(keys)
  const { rows } = await tx.query<EndedDelivery>({
    text: `SELECT d.run_id AS "runId", d.id, d.tenant_id AS tenant, d.user_id AS "userId", d.channel, d.status, d.reason,
        d.attempt_no AS attempt, d.provider, d.provider_id AS "providerId", d.updated_at AS "updatedAt"
      FROM unnest($1::uuid[], $2::uuid[]) AS w (run_id, id) JOIN deliveries d USING (run_id, id)
      WHERE d.status IN ('sent', 'delivered', 'failed', 'expired') AND d.purpose = 'notify'`,
    values: [plainArray(sorted.map((key) => key.runId)), plainArray(sorted.map((key) => key.id))],
  })
  return rows
}

/** Batches take rows in one order, so that two of them can't wait in a circle. */
function sortKeys<K extends DeliveryKey>(keys: readonly K[]): K[] {
  return [...keys].sort((a, b) => (a.runId === b.runId ? compare(a.id, b.id) : compare(a.runId, b.runId)))
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
