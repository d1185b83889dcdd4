import { fileURLToPath } from 'node:url'
import { runner } from 'node-pg-migrate'
import { DatabaseError } from './errors.js'

export interface MigrateOptions {
  /** Login that owns the schema, or will; it must be able to create roles the first time. Not through pgbouncer. */
  readonly ownerUrl: string
  readonly onProgress?: (text: string) => void
}

/**
 * Applies what is missing, in order, all in one transaction, under an advisory lock: whoever comes second waits and
 * finds nothing to do. Forward only. Gives the names that were applied now.
 * Throws MIGRATION (nothing applied) or UNAVAILABLE.
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  const report = options.onProgress ?? ((): void => undefined)
  const failures: string[] = []
  try {
    const applied = await runner({
      databaseUrl: options.ownerUrl,
      dir: fileURLToPath(new URL('../../migrations', import.meta.url)),
      direction: 'up',
      count: Number.POSITIVE_INFINITY,
      migrationsTable: 'carillon_migrations',
      checkOrder: true,
      advisoryLockMode: 'wait',
      logger: {
        debug: () => undefined,
        info: (text: string) => report(text),
        warn: (text: string) => report(text),
        error: (text: string) => failures.push(text),
      },
    })
    return applied.map((migration) => migration.name)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new DatabaseError('MIGRATION', `the migrations could not be applied: ${reason}`, { cause })
  }
}
