import type { Tx } from './tx.js'

/** Repeated requests: the truth is a unique key per tenant and route. Kept 24 h. */

export interface IdempotencyKey {
  tenant: string
  route: string
  key: string
}

/**
 * What a key means for the request that carries it.
 * `ours`: nobody else has it, go ahead · `running`: another request with it isn't done · `done`: this is the answer ·
 * `other`: it was used with another body.
 */
export type IdempotencyClaim =
  | { kind: 'ours' }
  | { kind: 'running' }
  | { kind: 'other' }
  | { kind: 'done'; status: number; body: string }

const HOURS = 24

/**
 * Claims a key for `leaseMs`. A claim whose holder died is taken over after its lease, with the same fingerprint only;
 * keys older than 24 h count as new.
 */
export async function claimIdempotencyKey(
  tx: Tx,
  key: IdempotencyKey,
  request: { fingerprint: Uint8Array; leaseMs: number },
): Promise<IdempotencyClaim> {
  const { rowCount } = await tx.query({
    text: `INSERT INTO idempotency_keys AS k (tenant_id, route, key, fingerprint, locked_until)
      VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))
      ON CONFLICT (tenant_id, route, key) DO UPDATE SET fingerprint = excluded.fingerprint, state = 'running',
        locked_until = excluded.locked_until, status = NULL, body = NULL, created_at = now()
      WHERE k.created_at < now() - make_interval(hours => ${HOURS})
        OR (k.state = 'running' AND k.locked_until < now() AND k.fingerprint = excluded.fingerprint)`,
    values: [key.tenant, key.route, key.key, request.fingerprint, request.leaseMs / 1000],
  })
  if (rowCount === 1) return { kind: 'ours' }
  const { rows } = await tx.query<{ same: boolean; status: number | null; body: string | null }>({
    text: `SELECT fingerprint = $4 AS same, status, body FROM idempotency_keys
      WHERE tenant_id = $1 AND route = $2 AND key = $3`,
    values: [key.tenant, key.route, key.key, request.fingerprint],
  })
  const found = rows[0]
  // released between the two statements: the client is told to come again, which is always right
  if (found === undefined) return { kind: 'running' }
  if (!found.same) return { kind: 'other' }
  if (found.status === null || found.body === null) return { kind: 'running' }
  return { kind: 'done', status: found.status, body: found.body }
}

/** Keeps the answer. */
export async function finishIdempotencyKey(
  tx: Tx,
  key: IdempotencyKey,
  answer: { status: number; body: string },
): Promise<void> {
  await tx.query({
    text: `UPDATE idempotency_keys SET state = 'done', status = $4, body = $5
      WHERE tenant_id = $1 AND route = $2 AND key = $3 AND state = 'running'`,
    values: [key.tenant, key.route, key.key, answer.status, answer.body],
  })
}

/** Forgets a claim whose request failed, so that it can be repeated. */
export async function releaseIdempotencyKey(tx: Tx, key: IdempotencyKey): Promise<void> {
  await tx.query({
    text: `DELETE FROM idempotency_keys WHERE tenant_id = $1 AND route = $2 AND key = $3 AND state = 'running'`,
    values: [key.tenant, key.route, key.key],
  })
}
