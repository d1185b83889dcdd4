import { CarillonClientError, type Publisher } from '@carillon/sdk'
import type { OutboxRow, Publication } from './outbox-store.js'

/** What the outbox asks of Carillon. */
export interface Outlet {
  publishAll: Publisher['publishAll']
  say(publication: Publication): Promise<unknown>
}

/**
 * What became of a row. `refused`: it can never be published as it is; `held`: Carillon doesn't take it from us now, and
 * what follows in its story has to wait as well; `away`: Carillon can't be reached, nor will it be for the next row.
 */
export type Outcome =
  | { kind: 'published' }
  | { kind: 'refused'; problem: string }
  | { kind: 'held' | 'away'; error: Error }

const PUBLISHED: Outcome = { kind: 'published' }

/** Publishes rows of different stories: events as one batch, what is said in channels side by side. Never rejects. */
export async function publishWave(
  wave: readonly OutboxRow[],
  outlet: Outlet,
): Promise<{ row: OutboxRow; outcome: Outcome }[]> {
  const batch = wave.flatMap((row) => (row.event === null ? [] : [row.event]))
  const batched = batch.length < 2 ? undefined : await tried(() => outlet.publishAll(batch))
  return Promise.all(
    wave.map(async (row) => {
      if (row.event === null) return { row, outcome: await tried(() => outlet.say(row.publication)) }
      // one that is refused takes its batch along, so each is asked about alone
      if (batched !== undefined && batched.kind !== 'refused') return { row, outcome: batched }
      return { row, outcome: await tried(() => outlet.publishAll([row.event])) }
    }),
  )
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
  // what failed before it was sent is wrong by itself
  if (!(error instanceof CarillonClientError)) return { kind: 'refused', problem: String(error) }
  if (error.failure === 'refused') return { kind: 'refused', problem: `${error.code}: ${error.message}` }
  return { kind: error.failure === 'unauthorized' ? 'held' : 'away', error }
}
