/**
 * Publications in one reply of the client protocol end here: clients of Python take a message of 1 MiB and no more, and
 * come back for the same one for ever.
 */
export const MAX_REPLY_BYTES = 512 * 1024

/** How many of `items` from the first on take at most `bytes`; one in any case. */
export function countWithin<T>(bytes: number, items: readonly T[], sizeOf: (item: T) => number): number {
  let sum = 0
  const count = items.findIndex((item, index) => {
    sum += sizeOf(item)
    return sum > bytes && index > 0
  })
  return count < 0 ? items.length : count
}
