import type { IdRange } from '@carillon/postgres'

/** A large audience in chunks. */
export interface Fanout {
  chunks: number
  /** About how many people it is for. */
  estimated: number
}

/** User ids are hashes, so equal ranges of ids hold about as many people each. */
export function fanoutOf(estimated: number, chunkSize: number): Fanout {
  return { chunks: Math.max(1, Math.ceil(estimated / chunkSize)), estimated }
}

const PREFIX_BITS = 48n

/** The ids of chunk `index` of `count`: every id is in exactly one of them. */
export function rangeOf(index: number, count: number): IdRange {
  const first = (BigInt(index) << PREFIX_BITS) / BigInt(count)
  const next = (BigInt(index + 1) << PREFIX_BITS) / BigInt(count)
  return {
    first: `${prefix(first)}-0000-0000-000000000000`,
    last: `${prefix(next - 1n)}-ffff-ffff-ffffffffffff`,
  }
}

export const WHOLE_RANGE: IdRange = rangeOf(0, 1)

/** Ids are lower-case hexadecimal, so text sorts as the database does. */
export function isIn(id: string, range: IdRange): boolean {
  return id >= range.first && id <= range.last
}

function prefix(value: bigint): string {
  return value
    .toString(16)
    .padStart(12, '0')
    .replace(/^(.{8})(.{4})$/, '$1-$2')
}
