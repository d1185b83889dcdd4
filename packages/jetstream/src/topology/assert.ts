import { api } from '../api.js'
import { type Connection, wireOf } from '../connection.js'
import { ApiError, TopologyError } from '../errors.js'

export interface NeededTopology {
  streams?: readonly string[]
  durables?: readonly { stream: string; durable: string }[]
}

/**
 * Checks that what a role binds to is there; creates nothing.
 * @throws TopologyError `MISSING`, naming everything that is missing and the command that makes it
 * @throws ApiError when the server does not answer or does not permit the question
 */
export async function assertTopology(connection: Connection, needed: NeededTopology): Promise<void> {
  const wire = wireOf(connection)
  const problems: string[] = []
  const check = async (operation: string, problem: string): Promise<void> => {
    try {
      await api(wire, operation)
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 'NOT_FOUND') throw error
      problems.push(problem)
    }
  }
  await Promise.all([
    ...(needed.streams ?? []).map((stream) =>
      check(`STREAM.INFO.${stream}`, `The stream ${stream} is missing.`),
    ),
    ...(needed.durables ?? []).map(({ stream, durable }) =>
      check(`CONSUMER.INFO.${stream}.${durable}`, `The durable ${durable} on ${stream} is missing.`),
    ),
  ])
  if (problems.length > 0) {
    throw new TopologyError('MISSING', [...problems.sort(), 'Run: carillon topology apply'])
  }
}
