import { isToken, MAX_STANDING_USERS, STANDING_SUBJECT, type StandingAnswer } from '@carillon/contracts'
import { type Answering, answerQuestions, type Connection } from '@carillon/jetstream'
import { type Database, findFallen } from '@carillon/postgres'
import { HttpProblem } from '@carillon/service'
import { Type } from 'typebox'
import { Uuid } from '../schemas/shapes.js'
import { createCheck } from './validate.js'

const Users = Type.Array(Uuid, { maxItems: MAX_STANDING_USERS })
const OfOne = Type.Object({ users: Users })
const OfMany = Type.Object({ tenants: Type.Record(Type.String(), Users) })

interface Person {
  tenant: string
  userId: string
}

/**
 * Answers which of these users may not be connected any more: on `ask.standing._` of many tenants, and on
 * `ask.standing.<tenant>` of one, since realtime is released apart and an older one asks so. While the database is away
 * nobody answers, and who is connected stays.
 */
export function answerStanding(deps: {
  connection: Connection
  database: Database
  onFailure: (error: unknown, subject: string) => void
}): Answering {
  const read = createReader()
  return answerQuestions(
    deps.connection,
    'ask.standing.*',
    { queue: 'gateway', onFailure: deps.onFailure },
    async (question, subject): Promise<StandingAnswer> => ({
      fallen: await findFallen(deps.database, read(question, subject)),
    }),
  )
}

/** @throws HttpProblem for what is no question */
function createReader(): (question: unknown, subject: string) => Person[] {
  const checkOne = createCheck(OfOne)
  const checkMany = createCheck(OfMany)
  const peopleOf = (tenant: string, users: readonly string[]): Person[] => {
    if (!isToken(tenant)) throw new HttpProblem(400, 'VALIDATION', 'There is no such tenant.')
    return users.map((userId) => ({ tenant, userId }))
  }
  return (question, subject) => {
    if (subject !== STANDING_SUBJECT) return peopleOf(subject.split('.')[2] ?? '', checkOne(question).users)
    const people = Object.entries(checkMany(question).tenants).flatMap(([tenant, users]) =>
      peopleOf(tenant, users),
    )
    if (people.length > MAX_STANDING_USERS)
      throw new HttpProblem(400, 'VALIDATION', 'These are too many users.')
    return people
  }
}
