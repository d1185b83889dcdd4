import type { Tx } from './tx.js'

export interface ClaimedKey {
  /** When the event was first seen, by the database's clock: what its ids lead with. */
  readonly firstSeenMs: number
  /** True in exactly one transaction: the one that has to write the event's rows. */
  readonly fresh: boolean
}

/**
 * Claims the keys of events (16 bytes each; repetitions are fine) and says of each when it was first seen. Waits
 * for a transaction that is claiming the same key right now; when that one commits, everything it wrote is visible.
 * The map is keyed by the key in lower-case hex.
 */
export async function claimEventKeys(tx: Tx, keys: readonly Uint8Array[]): Promise<Map<string, ClaimedKey>> {
  // sorted: two batches that share keys take them in the same order, so neither waits in a circle
  const wanted = [...new Set(keys.map((key) => Buffer.from(key).toString('hex')))].sort()
  const { rows } = await tx.queryArrays<[string, number, boolean]>({
    name: 'claim_event_keys',
    text: `SELECT encode(key, 'hex'), (extract(epoch FROM first_seen) * 1000)::bigint, fresh
           FROM claim_event_keys(ARRAY(SELECT decode(k, 'hex') FROM unnest($1::text[]) AS k))`,
    values: [wanted],
  })
  return new Map(rows.map(([key, firstSeenMs, fresh]) => [key, { firstSeenMs, fresh }]))
}
