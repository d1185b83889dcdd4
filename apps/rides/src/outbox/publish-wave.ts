import { CarillonClientError, ContractError, type Publisher, type RoomCalls } from '@carillon/sdk'
import type { OutboxRow } from './outbox-store.js'

/** What the outbox asks of Carillon. Of either call, one that is refused refuses all that come with it. */
export type Outlet = Pick<Publisher, 'publishAll'> & Pick<RoomCalls, 'publishAllTo'>

/**
 * What became of a row. `refused`: it can never be published as it is; `held`: Carillon doesn't take it from us now, and
 * what follows in its story has to wait as well; `away`: Carillon can't be reached, nor will it be for the next row.
 */
export type Outcome =
  | { kind: 'published' }
  | { kind: 'refused'; problem: string }
  | { kind: 'held' | 'away'; error: Error }

type Told = { row: OutboxRow; outcome: Outcome }[]

const PUBLISHED: Outcome = { kind: 'published' }

/** Publishes rows of different stories: events in one call, what is said in channels in another. Never rejects. */
export async function publishWave(wave: readonly OutboxRow[], outlet: Outlet): Promise<Told> {
  const told = await Promise.all([
    together(
      wave.filter((row) => row.event !== null),
      (rows) => outlet.publishAll(rows.map(({ event }) => event)),
    ),
    together(
      wave.filter((row) => row.publication !== null),
      (rows) => outlet.publishAllTo(rows.map(({ publication }) => publication)),
    ),
  ])
  return told.flat()
}

async function together<R extends OutboxRow>(
  rows: readonly R[],
  publish: (rows: readonly R[]) => Promise<unknown>,
): Promise<Told> {
  if (rows.length === 0) return []
  const outcome = await tried(() => publish(rows))
  if (outcome.kind !== 'refused' || rows.length === 1) return rows.map((row) => ({ row, outcome }))
  // nobody knows which of them it was, so each is asked about alone
  return Promise.all(rows.map(async (row) => ({ row, outcome: await tried(() => publish([row])) })))
}

async function tried(publish: () => Promise<unknown>): Promise<Outcome> {
  try {
    await publish()
    return PUBLISHED
  } catch (error) {
    return outcomeOf(error)
  }
}

function outcomeOf(error: unknown): Outcome {
  const refused = error instanceof CarillonClientError && error.failure === 'refused'
  if (refused || error instanceof ContractError) {
    return { kind: 'refused', problem: `${error.code}: ${error.message}` }
  }
  const held = error instanceof CarillonClientError && error.failure === 'unauthorized'
  // what nobody can explain, like an answer of something else on the way, may be over in a moment
  return { kind: held ? 'held' : 'away', error: error instanceof Error ? error : new Error(String(error)) }
}
