import { AccessError } from '../access/grant.js'
import { TokenError } from '../access/identity.js'
import { ERRORS, type ProtocolError } from '../protocol/codes.js'
import { PublicationTooLarge, RoomKeyError } from '../stream/room-publisher.js'
import { Refusal } from './caller.js'

/** What a client is told of a command that failed; undefined for what is our trouble and not foreseen. */
export function refusalOf(error: unknown): ProtocolError | undefined {
  if (error instanceof Refusal) return error.error
  if (error instanceof TokenError) {
    return error.code === 'TOKEN_EXPIRED' ? ERRORS.tokenExpired : ERRORS.permissionDenied
  }
  if (isAway(error)) return ERRORS.internal
  if (error instanceof RoomKeyError) return { ...ERRORS.badRequest, message: error.message }
  if (error instanceof PublicationTooLarge) return { code: 413, message: error.message }
  if (!(error instanceof AccessError)) return undefined
  switch (error.code) {
    case 'CHANNEL_UNKNOWN':
      return ERRORS.unknownChannel
    case 'CHANNEL_DENIED':
      return ERRORS.permissionDenied
    case 'CHANNEL_DATA_INVALID':
      return { code: 422, message: error.message }
    default:
      return ERRORS.internal
  }
}

/** Some part of the mesh does not answer: known to health, and over when it is back. */
function isAway(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown }
  return code === 'UNAVAILABLE' || code === 'TIMEOUT'
}
