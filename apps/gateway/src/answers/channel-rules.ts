import { type ChannelRule, isToken } from '@carillon/contracts'
import { type Answering, answerQuestions, type Connection } from '@carillon/jetstream'
import { type Database, listChannelRules } from '@carillon/postgres'

/** Gateways share what is asked. */
const QUEUE = 'gateway'

/** All rules of a tenant. Request role. */
export async function rulesOfTenant(database: Database, tenant: string): Promise<ChannelRule[]> {
  const rows = await database.inTenant(tenant, (tx) => listChannelRules(tx, tenant), { readOnly: true })
  return rows.map(({ updatedAt: _, ...rule }) => rule)
}

/**
 * Answers `ask.channel-rules.<tenant>` with `{ rules: ChannelRule[] }`, whatever the question says. While the database
 * is away nobody answers: who asks keeps what it knew.
 */
export function answerChannelRules(deps: {
  connection: Connection
  database: Database
  onFailure: (error: unknown, subject: string) => void
}): Answering {
  const { connection, database, onFailure } = deps
  return answerQuestions(
    connection,
    'ask.channel-rules.*',
    { queue: QUEUE, onFailure },
    async (_, subject) => {
      const tenant = subject.split('.')[2] ?? ''
      return isToken(tenant) ? { rules: await rulesOfTenant(database, tenant) } : undefined
    },
  )
}
