import { RedisError } from '@carillon/redis'
import type { RoomPresence } from './room-presence.js'
export function createRoomPresence(_o: { node: string }, _d: object): RoomPresence {
  const away = async () => {
    throw new RedisError('UNAVAILABLE', 'no presence')
  }
  return {
    connected() {},
    gone() {},
    joined() {},
    left() {},
    members: away,
    stats: away,
    watch: () => () => undefined,
    places: 0,
    watched: 0,
    async [Symbol.asyncDispose]() {},
  }
}
