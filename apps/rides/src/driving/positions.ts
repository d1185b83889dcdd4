import type pg from 'pg'
import { latestOf } from '../chat/conversation.js'
import type { RidesEvents } from '../events.js'
import { repeat } from '../repeat.js'
import { type DriverState, driverState, lastPosition, savePositions } from './driver-store.js'
import type { Feed } from './feed.js'
import { judge, locationFrame, type Position, type Step } from './track.js'

/**
 * Where the drivers are. Each position is shown to who follows the driver's ride; memory holds the last one, and the
 * table one that is seconds old. A driver's calls belong to one process: another one knows of the last position only
 * what the table says.
 */
export interface Positions extends AsyncDisposable {
  take(driver: string, position: Position): Promise<Step | { kind: 'offline' }>
  /** Once it resolves nothing more is shown of the ride. */
  hide(rideId: string): Promise<void>
  /** Takes `hide` back: the ride goes on. */
  show(rideId: string): void
  /** The driver's next position is seen by who follows the new ride. */
  rideTaken(driver: string): void
  /** The driver went on- or offline. */
  forget(driver: string): void
}

export interface PositionsDeps {
  pool: pg.Pool
  feed: Feed
  events: RidesEvents
  now(): number
}

/** A ride has one driver. Their name would be no key where it has a space or an umlaut. */
const KEY = 'driver'
/** How long a driver's rides are taken from memory. */
const STATE_MS = 1_000
const SAVE_EVERY_MS = 5_000
const LOOK_EVERY_MS = 1_000
const FORGET_AFTER_MS = 60_000

interface Known {
  /** As of `stateAt`. */
  state: Promise<DriverState> | undefined
  stateAt: number
  last: Position | undefined
  seenAt: number
  savedAt: number
  /** There is something to save. */
  news: boolean
}

export function createPositions({ pool, feed, events, now }: PositionsDeps): Positions {
  const drivers = new Map<string, Known>()
  /** Rides that are over, and since when; the database knows of it by the time they are forgotten. */
  const hidden = new Map<string, number>()

  const knownOf = (driver: string): Known => {
    let known = drivers.get(driver)
    if (known === undefined) {
      known = { state: undefined, stateAt: 0, last: undefined, seenAt: now(), savedAt: now(), news: false }
      drivers.set(driver, known)
    }
    return known
  }
  const read = async (driver: string, known: Known): Promise<DriverState> => {
    const kept = known.last === undefined ? lastPosition(pool, driver) : undefined
    const [state, last] = await Promise.all([driverState(pool, driver), kept])
    known.last ??= last
    return state
  }
  const stateOf = async (driver: string, known: Known): Promise<DriverState> => {
    if (known.state === undefined || now() - known.stateAt >= STATE_MS) {
      known.stateAt = now()
      known.state = read(driver, known)
    }
    const reading = known.state
    try {
      return await reading
    } catch (error) {
      if (known.state === reading) known.state = undefined
      throw error
    }
  }
  const save = async (everything: boolean): Promise<void> => {
    const due = [...drivers].filter(
      ([, { news, savedAt }]) => news && (everything || now() - savedAt >= SAVE_EVERY_MS),
    )
    const rows = due.flatMap(([driver, { last, seenAt }]) =>
      last === undefined ? [] : [{ driver, seenAt, ...last }],
    )
    for (const [, known] of due) {
      known.news = false
      known.savedAt = now()
    }
    if (rows.length > 0) await savePositions(pool, rows)
  }
  const look = async (): Promise<void> => {
    await save(false)
    for (const [driver, { seenAt }] of drivers) if (now() - seenAt > FORGET_AFTER_MS) drivers.delete(driver)
    for (const [ride, since] of hidden) if (now() - since > FORGET_AFTER_MS) hidden.delete(ride)
  }
  const looking = repeat(LOOK_EVERY_MS, look, (error) => events.workPostponed('save positions', error))

  return {
    async take(driver, position) {
      const known = knownOf(driver)
      const { online, rides } = await stateOf(driver, known)
      if (!online) return { kind: 'offline' }
      const step = judge(known.last, position, now())
      if (step.kind === 'ahead') return step
      known.seenAt = now()
      if (step.kind === 'old') {
        events.positionTaken('old')
        return step
      }
      known.last = position
      known.news = true
      events.positionTaken(step.jump ? 'jumped' : 'moved')
      const data = locationFrame(driver, position, step.jump)
      for (const ride of rides) {
        if (!hidden.has(ride)) feed.push({ channel: latestOf(ride), key: KEY, data })
      }
      return step
    },
    async hide(rideId) {
      hidden.set(rideId, now())
      await feed.stop(latestOf(rideId))
    },
    show: (rideId) => void hidden.delete(rideId),
    rideTaken(driver) {
      const known = drivers.get(driver)
      if (known !== undefined) known.state = undefined
    },
    forget: (driver) => void drivers.delete(driver),
    async [Symbol.asyncDispose]() {
      await looking[Symbol.asyncDispose]()
      await save(true).catch((error: unknown) => events.workPostponed('save positions', error))
    },
  }
}
