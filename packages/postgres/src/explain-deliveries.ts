import type { DeliveryStatus, Reason } from '@carillon/contracts'
import type { Tx } from './tx.js'

/** Deliveries of runs, with their attempts and receipts. Request role, one tenant. */

export interface DeliveryRecord {
  runId: string
  id: string
  channel: string
  step: number
  /** `clear`: it takes the notification off a device that shows it, and is no dead letter when it fails. */
  purpose: 'notify' | 'clear'
  addressKind: 'device' | 'email' | 'phone' | 'webhook'
  address: string
  provider: string | null
  status: DeliveryStatus
  reason: Reason | null
  detail: string | null
  attemptNo: number
  maxAttempts: number
  dueAt: Date | null
  sentAt: Date | null
  deliveredAt: Date | null
  openedAt: Date | null
  clickedAt: Date | null
  createdAt: Date
  updatedAt: Date
  expiresAt: Date | null
  /** Attempts that may have rung without anybody knowing. */
  unknowns: number
  /** How often it was sent off again after it had failed, and when last. */
  replays: number
  replayedAt: Date | null
  /** Kind and app of the device, while it is known. */
  device: string | null
}

/** Deliveries of some runs, in the order of steps. */
export async function deliveriesOf(
  tx: Tx,
  runs: { tenant: string; ids: readonly string[] },
): Promise<DeliveryRecord[]> {
  const { rows } = await tx.query<DeliveryRecord>({
    text: `SELECT l.run_id AS "runId", l.id, l.channel, l.step, l.purpose, l.address_kind AS "addressKind", l.address, l.provider,
        l.status, l.reason, l.detail, l.attempt_no AS "attemptNo", l.max_attempts AS "maxAttempts", l.due_at AS "dueAt",
        l.sent_at AS "sentAt", l.delivered_at AS "deliveredAt", l.opened_at AS "openedAt", l.clicked_at AS "clickedAt",
        l.created_at AS "createdAt", l.updated_at AS "updatedAt", l.expires_at AS "expiresAt", l.unknowns, l.replays,
        l.replayed_at AS "replayedAt", d.kind || ' ' || d.app AS device
      FROM deliveries l LEFT JOIN devices d
        ON l.address_kind = 'device' AND d.tenant_id = l.tenant_id AND d.id::text = l.address
      WHERE l.tenant_id = $1 AND l.run_id = ANY ($2::uuid[]) ORDER BY l.run_id, l.step, l.id`,
    values: [runs.tenant, runs.ids],
  })
  return rows
}

export interface AttemptRecord {
  deliveryId: string
  attemptNo: number
  provider: string | null
  verdict: string | null
  reason: string | null
  detail: string | null
  providerId: string | null
  /** Name of the account that was asked; null also for one that was deleted. */
  account: string | null
  startedAt: Date
  finishedAt: Date | null
}

export async function attemptsOf(
  tx: Tx,
  runs: { tenant: string; ids: readonly string[] },
): Promise<AttemptRecord[]> {
  const { rows } = await tx.query<AttemptRecord>({
    text: `SELECT a.delivery_id AS "deliveryId", a.attempt_no AS "attemptNo", a.provider, a.verdict, a.reason, a.detail,
        a.provider_id AS "providerId", p.name AS account, a.started_at AS "startedAt", a.finished_at AS "finishedAt"
      FROM attempts a LEFT JOIN providers p ON p.tenant_id = $1 AND p.id = a.account
      WHERE a.tenant_id = $1 AND a.run_id = ANY ($2::uuid[]) ORDER BY a.run_id, a.delivery_id, a.attempt_no`,
    values: [runs.tenant, runs.ids],
  })
  return rows
}

export interface ReceiptRecord {
  deliveryId: string
  status: string
  by: string
  at: Date
  detail: string | null
}

export async function receiptsOf(
  tx: Tx,
  runs: { tenant: string; ids: readonly string[] },
): Promise<ReceiptRecord[]> {
  const { rows } = await tx.query<ReceiptRecord>({
    text: `SELECT delivery_id AS "deliveryId", status, by, at, detail FROM receipts
      WHERE tenant_id = $1 AND run_id = ANY ($2::uuid[]) ORDER BY at, status`,
    values: [runs.tenant, runs.ids],
  })
  return rows
}

/** Whose a delivery is: what a receipt needs to know besides its token. */
export interface DeliveryOwner {
  runId: string
  id: string
  userId: string
  channel: string
}

/** Owners of some deliveries; those of other tenants and unknown ones are missing. */
export async function deliveryOwners(
  tx: Tx,
  wanted: { tenant: string; deliveries: readonly { runId: string; id: string }[] },
): Promise<DeliveryOwner[]> {
  const { rows } = await tx.query<DeliveryOwner>({
    text: `SELECT d.run_id AS "runId", d.id, d.user_id AS "userId", d.channel
      FROM unnest($2::uuid[], $3::uuid[]) AS w (run_id, id) JOIN deliveries d USING (run_id, id) WHERE d.tenant_id = $1`,
    values: [
      wanted.tenant,
      wanted.deliveries.map((delivery) => delivery.runId),
      wanted.deliveries.map((delivery) => delivery.id),
    ],
  })
  return rows
}
