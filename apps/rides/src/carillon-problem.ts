import { CarillonClientError } from '@carillon/sdk'
import { HttpProblem } from '@carillon/service'
import { Postponed } from './outbox/relay.js'

/** Turns what keeps us from Carillon into an answer of ours; anything else is thrown on. */
export function carillonProblem(cause: unknown, detail: string): HttpProblem {
  if (!(cause instanceof CarillonClientError || cause instanceof Postponed)) throw cause
  return new HttpProblem(503, 'CARILLON_UNAVAILABLE', detail, { headers: { 'retry-after': '5' }, cause })
}
