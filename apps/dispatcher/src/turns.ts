import { setImmediate } from 'node:timers/promises'

/** Items handled without a pause: half a millisecond of work. */
const TURN = 32

/**
 * Maps a long list in turns, in order. A large batch of one lane would otherwise hold the event loop for tens of
 * milliseconds, and an event of the high lane waits for it at each of its ten round trips.
 */
export async function mapInTurns<T, R>(
  items: readonly T[],
  map: (item: T, index: number) => R,
): Promise<R[]> {
  const results: R[] = []
  for (let index = 0; index < items.length; index++) {
    if (index > 0 && index % TURN === 0) await setImmediate()
    results.push(map(items[index] as T, index))
  }
  return results
}
