import type { EventInput } from '@carillon/sdk'
import type pg from 'pg'
import { inTransaction } from '../database.js'
import type { RidesEvents } from '../events.js'
import { enqueueEvent } from '../outbox/outbox-store.js'
import type { Relay } from '../outbox/relay.js'
import { repeat } from '../repeat.js'
import { type DriverChange, goOffline, goOnline, silentGoOffline } from './driver-store.js'
import type { Positions } from './positions.js'

/** Who is heard of no more for so long is offline. */
const SILENT_AFTER_MS = 60_000
const LOOK_EVERY_MS = 5_000

/** Puts a driver online, or hears that they still are; true when they were not. The event goes with it. */
export async function online(
  pool: pg.Pool,
  driver: { id: string; city: string; at: Date },
): Promise<boolean> {
  return inTransaction(pool, async (client) => {
    const change = await goOnline(client, driver)
    if (change !== undefined) await tell(client, change, driverEvent(change, 'online'))
    return change !== undefined
  })
}

/** Takes a driver offline; true when they were not. The event goes with it. */
export async function offline(pool: pg.Pool, driver: { id: string; at: Date }): Promise<boolean> {
  return inTransaction(pool, async (client) => {
    const change = await goOffline(client, driver)
    if (change !== undefined) await tell(client, change, driverEvent(change, 'offline', 'said'))
    return change !== undefined
  })
}

export interface SilenceDeps {
  pool: pg.Pool
  relay: Relay
  positions: Positions
  events: RidesEvents
  now(): number
}

/** Takes drivers offline who were not heard of for a minute, whatever process they called. */
export function watchSilence(deps: SilenceDeps): AsyncDisposable {
  return repeat(
    LOOK_EVERY_MS,
    () => endSilent(deps),
    (error) => deps.events.workPostponed('look for silent drivers', error),
  )
}

async function endSilent({ pool, relay, positions, events, now }: SilenceDeps): Promise<void> {
  const at = now()
  const when = { before: new Date(at - SILENT_AFTER_MS), at: new Date(at) }
  const silent = await inTransaction(pool, async (client) => {
    const changes = await silentGoOffline(client, when)
    for (const change of changes) await tell(client, change, driverEvent(change, 'offline', 'silent'))
    return changes
  })
  if (silent.length === 0) return
  for (const { id } of silent) positions.forget(id)
  events.driversFellSilent(silent.map(({ id }) => id))
  relay.nudge()
}

function tell(client: pg.PoolClient, { id }: DriverChange, event: EventInput): Promise<void> {
  return enqueueEvent(client, `driver ${id}`, event)
}

function driverEvent(
  { id, city, at }: DriverChange,
  state: 'online' | 'offline',
  because?: 'said' | 'silent',
): EventInput {
  return {
    id: `${id}.${state}.${at.getTime()}`,
    type: `rides.driver.${state}.v1`,
    subject: id,
    time: at,
    data: { driverId: id, city, ...(because === undefined ? {} : { because }) },
  }
}
