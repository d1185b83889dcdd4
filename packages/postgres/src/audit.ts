import { createHash } from 'node:crypto'
import { plainArray, textArray } from './arrays.js'
import type { Queryable, Tx } from './tx.js'

/** The hash-chained trail: one chain per tenant, in stream order. Worker role; append-only by grant. */

/** A fact as it is kept: the text that was hashed, byte for byte. */
export interface AuditEntry {
  factId: string
  fact: string
}

/** Hash of a chain's first entry's predecessor. */
export const CHAIN_START = Buffer.alloc(32)

/** SHA-256 over the previous hash, the sequence as 8 bytes big-endian, and the fact's UTF-8 text. */
export function chainHash(previous: Buffer, sequence: number, fact: string): Buffer {
  const place = Buffer.alloc(8)
  place.writeBigUInt64BE(BigInt(sequence))
  return createHash('sha256').update(previous).update(place).update(fact, 'utf8').digest()
}

/**
 * Appends facts to a tenant's chain in the order given; facts that stand in it already are left out. The head stays
 * locked until the transaction ends, so there is one writer per tenant. Gives how many were appended.
 */
export async function appendAudit(tx: Tx, tenant: string, entries: readonly AuditEntry[]): Promise<number> {
  await tx.query({
    text: 'INSERT INTO audit_heads (tenant_id, sequence, hash) VALUES ($1, 0, $2) ON CONFLICT DO NOTHING',
    values: [tenant, CHAIN_START],
  })
  const { rows: heads } = await tx.query<{ sequence: number; hash: Buffer }>({
    text: 'SELECT sequence, hash FROM audit_heads WHERE tenant_id = $1 FOR UPDATE',
    values: [tenant],
  })
  const { rows: known } = await tx.queryArrays<[string]>({
    text: 'SELECT fact_id FROM audit WHERE tenant_id = $1 AND fact_id = ANY ($2::text[])',
    values: [tenant, textArray(entries.map((entry) => entry.factId))],
  })
  const skip = new Set(known.map(([id]) => id))
  const head = heads[0] as { sequence: number; hash: Buffer }
  let sequence = head.sequence
  let hash: Buffer = head.hash
  const rows: { sequence: number; entry: AuditEntry; previous: Buffer; hash: Buffer }[] = []
  for (const entry of entries) {
    if (skip.has(entry.factId)) continue
    skip.add(entry.factId)
    sequence++
    const next = chainHash(hash, sequence, entry.fact)
    rows.push({ sequence, entry, previous: hash, hash: next })
    hash = next
  }
  if (rows.length === 0) return 0
  await tx.query({
    text: `INSERT INTO audit (tenant_id, sequence, fact_id, fact, previous_hash, hash)
      SELECT $1, s, i, f, decode(p, 'hex'), decode(h, 'hex')
      FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[]) AS n (s, i, f, p, h)`,
    values: [
      tenant,
      plainArray(rows.map((row) => row.sequence)),
      textArray(rows.map((row) => row.entry.factId)),
      textArray(rows.map((row) => row.entry.fact)),
      textArray(rows.map((row) => row.previous.toString('hex'))),
      textArray(rows.map((row) => row.hash.toString('hex'))),
    ],
  })
  await tx.query({
    text: 'UPDATE audit_heads SET sequence = $2, hash = $3 WHERE tenant_id = $1',
    values: [tenant, sequence, hash],
  })
  return rows.length
}

export type AuditVerdict =
  | { ok: true; entries: number; head: string }
  | { ok: false; sequence: number; problem: string }

const PAGE = 5_000

/** Proves a tenant's chain from its start to its head, or names the first entry that is broken. */
export async function verifyAudit(database: Queryable, tenant: string): Promise<AuditVerdict> {
  let previous: Buffer = CHAIN_START
  let expected = 1
  for (;;) {
    const { rows } = await database.query<{
      sequence: number
      fact: string
      previousHash: Buffer
      hash: Buffer
    }>({
      text: `SELECT sequence, fact, previous_hash AS "previousHash", hash FROM audit
        WHERE tenant_id = $1 AND sequence >= $2 ORDER BY sequence LIMIT $3`,
      values: [tenant, expected, PAGE],
    })
    for (const row of rows) {
      if (row.sequence !== expected)
        return { ok: false, sequence: expected, problem: 'this entry is missing' }
      if (!row.previousHash.equals(previous))
        return broken(expected, 'it does not follow the entry before it')
      if (!row.hash.equals(chainHash(previous, expected, row.fact)))
        return broken(expected, 'its text was changed')
      previous = row.hash
      expected++
    }
    if (rows.length < PAGE) break
  }
  const { rows: heads } = await database.query<{ sequence: number; hash: Buffer }>({
    text: 'SELECT sequence, hash FROM audit_heads WHERE tenant_id = $1',
    values: [tenant],
  })
  const head = heads[0] ?? { sequence: 0, hash: CHAIN_START }
  if (head.sequence !== expected - 1 || !head.hash.equals(previous)) {
    return broken(expected, `the head names entry ${head.sequence}, the chain ends at ${expected - 1}`)
  }
  return { ok: true, entries: expected - 1, head: previous.toString('hex') }
}

function broken(sequence: number, problem: string): AuditVerdict {
  return { ok: false, sequence, problem }
}
