import { decodeCursor } from '@carillon/realtime'
import type { Place } from './channel-log.js'

/** Readers come back at once, so that a run is short; a real one waits for what the server says. */
export const RETURN_AFTER_MS = 100

/** Stands for the epoch while channels of one cursor are in two: it fits none. */
const NO_EPOCH = '------'

/**
 * Where a cursor stands in each channel: it names them in the order in which they were asked for.
 * @throws Error for what is no cursor of these channels
 */
export function placesOf(id: string, channels: Iterable<string>): ReadonlyMap<string, Place> {
  const names = [...channels]
  const cursor = decodeCursor(id)
  if (cursor === undefined || cursor.offsets.size !== names.length) throw new Error(`${id} is no position.`)
  const epoch = cursor.epoch === NO_EPOCH ? undefined : cursor.epoch
  return new Map(
    [...cursor.offsets.values()].map((offset, index) => [names[index] as string, { epoch, offset }]),
  )
}
