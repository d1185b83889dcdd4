import { isToken, MAX_STANDING_USERS, type StandingAnswer } from '@carillon/contracts'
import { type Answering, answerQuestions, type Connection } from '@carillon/jetstream'
import { type Database, findFallen } from '@carillon/postgres'
import { Type } from 'typebox'
import { Uuid } from '../schemas/shapes.js'
import { createCheck } from './validate.js'

const Question = Type.Object({ users: Type.Array(Uuid, { maxItems: MAX_STANDING_USERS }) })

/**
 * Answers `ask.standing.<tenant>`: which of these users may not be connected any more. While the database is away
 * nobody answers, and who is connected stays.
 */
export function answerStanding(deps: {
  connection: Connection
  database: Database
  onFailure: (error: unknown, subject: string) => void
}): Answering {
  const check = createCheck(Question)
  return answerQuestions(
    deps.connection,
    'ask.standing.*',
    { queue: 'gateway', onFailure: deps.onFailure },
    async (question, subject): Promise<StandingAnswer | undefined> => {
      const tenant = subject.split('.')[2] ?? ''
      if (!isToken(tenant)) return undefined
      const { users } = check(question)
      const found = (tx: Parameters<typeof findFallen>[0]) => findFallen(tx, { tenant, userIds: users })
      return { fallen: await deps.database.inTenant(tenant, found, { readOnly: true }) }
    },
  )
}
