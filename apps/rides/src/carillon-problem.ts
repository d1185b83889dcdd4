import { CarillonClientError } from '@carillon/sdk'
import { HttpProblem } from '@carillon/service'

/** Turns what Carillon's client throws into an answer of ours; anything else is thrown on. */
export function carillonProblem(cause: unknown, detail: string): HttpProblem {
  if (!(cause instanceof CarillonClientError)) throw cause
  return new HttpProblem(503, 'CARILLON_UNAVAILABLE', detail, { headers: { 'retry-after': '5' }, cause })
}
