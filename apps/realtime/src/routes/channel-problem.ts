import { ApiError } from '@carillon/jetstream'
import { RedisError } from '@carillon/redis'
import { HttpProblem } from '@carillon/service'
import { AccessError } from '../access/grant.js'
import { TokenError } from '../access/identity.js'
import { HubUnavailable } from '../stream/hub.js'
import { PublicationTooLarge, RoomKeyError } from '../stream/room-publisher.js'

const STATUS = { CHANNEL_UNKNOWN: 404, CHANNEL_DENIED: 403, CHANNEL_DATA_INVALID: 422, UNAVAILABLE: 503 }

/** What HTTP says of what went wrong in a channel; anything else as it is. */
export function channelProblem(error: unknown): unknown {
  if (error instanceof AccessError) {
    const options = error.code === 'UNAVAILABLE' ? { headers: { 'retry-after': '1' } } : {}
    return new HttpProblem(STATUS[error.code], error.code, error.message, {
      field: error.field ?? 'channel',
      ...options,
    })
  }
  if (error instanceof TokenError)
    return new HttpProblem(403, error.code, error.message, { field: 'channel' })
  if (error instanceof RoomKeyError)
    return new HttpProblem(400, 'VALIDATION', error.message, { field: 'key' })
  if (error instanceof PublicationTooLarge) return new HttpProblem(413, error.code, error.message)
  if (error instanceof RedisError || error instanceof ApiError || error instanceof HubUnavailable) {
    return new HttpProblem(503, 'UNAVAILABLE', 'It can not be read at this moment.', {
      headers: { 'retry-after': '1' },
      cause: error,
    })
  }
  const { transient } = (error ?? {}) as { transient?: unknown }
  if (transient === true) {
    return new HttpProblem(503, 'UNAVAILABLE', 'It could not be stored at this moment.', {
      headers: { 'retry-after': '1' },
    })
  }
  return error
}
