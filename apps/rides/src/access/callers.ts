import { HttpProblem } from '@carillon/service'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { createPersonTokens, type PersonTokens, sameSecret } from './person-token.js'

/** Who calls: another service of ours, or a person who is signed in. */
export type Caller = { kind: 'service' } | { kind: 'person'; id: string }

declare module 'fastify' {
  interface FastifyRequest {
    ridesCaller: Caller | undefined
  }
}

const SERVICE: Caller = { kind: 'service' }

/** Lets nobody at the routes of `app` who shows neither the service's token nor a person's. Returns what signs persons in. */
export function knowCallers(app: FastifyInstance, token: string, now: () => number): PersonTokens {
  const persons = createPersonTokens(token)
  app.decorateRequest('ridesCaller', undefined)
  app.addHook('onRequest', async (request) => {
    const [, given] = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '') ?? []
    if (given === undefined) throw unknown()
    if (sameSecret(given, token)) {
      request.ridesCaller = SERVICE
      return
    }
    const id = persons.holder(given, now())
    if (id === undefined) throw unknown()
    request.ridesCaller = { kind: 'person', id }
  })
  return persons
}

/** @throws HttpProblem 403 for persons */
export async function servicesOnly(request: FastifyRequest): Promise<void> {
  if (request.ridesCaller?.kind !== 'service') {
    throw new HttpProblem(403, 'FORBIDDEN', 'This is for services with the rides token.')
  }
}

/** The person who calls. @throws HttpProblem 403 for services */
export function personOf(request: FastifyRequest): string {
  if (request.ridesCaller?.kind !== 'person') {
    throw new HttpProblem(
      403,
      'FORBIDDEN',
      'Persons do this: send the token of one, of POST /people/:id/session.',
    )
  }
  return request.ridesCaller.id
}

/** @throws HttpProblem 403 for persons other than `id`, and for services */
export function onlyThemselves(request: FastifyRequest, id: string): void {
  if (personOf(request) !== id) throw new HttpProblem(403, 'FORBIDDEN', 'Each driver speaks for themselves.')
}

function unknown(): HttpProblem {
  return new HttpProblem(401, 'UNAUTHORIZED', "Send the rides token or a person's as a bearer token.")
}
