import type { StatusReply, TakenFault } from './faults.js'
import type { Outcome, SimulatorRequest } from './https-server.js'

/**
 * What a fault makes of a request: an outcome, or undefined when the usual answer follows. `asReply` says a status
 * as the provider would; `goodbye` is what a GOAWAY carries.
 */
export function faultOutcome(
  fault: TakenFault | undefined,
  request: SimulatorRequest,
  how: { asReply(fault: StatusReply): Outcome; goodbye?: Buffer },
): Outcome | undefined {
  if (fault === undefined) return undefined
  if (fault === 'goaway') {
    request.goAway(how.goodbye)
    return undefined
  }
  if (typeof fault === 'string') return fault
  if ('dripMs' in fault) {
    request.dripMs = fault.dripMs
    return undefined
  }
  return how.asReply(fault)
}
