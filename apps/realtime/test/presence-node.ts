import { openConnection } from '@carillon/jetstream'
import { openRedis } from '@carillon/redis'
import { createRoomPresence } from '../src/presence/create-room-presence.js'

/** A node in a process of its own, to be killed: joins a room as the named people and waits. */
const [servers = '', url = '', leaseMs = '', room = '', ...users] = process.argv.slice(2)
const connection = await openConnection({ servers, name: 'presence-node' })
const redis = await openRedis({ url, commandTimeoutMs: 10_000 })
const presence = createRoomPresence(
  { node: 'victim', leaseMs: Number(leaseMs), tickMs: 20 },
  {
    connection,
    redis,
    onFailure: (error) => {
      throw error
    },
  },
)
for (const user of users) {
  presence.connected({ tenant: 'acme', userId: user })
  presence.joined({ tenant: 'acme', id: room }, { user, client: `${user}-victim` })
}
await presence.members({ tenant: 'acme', id: room })
console.log('ready')
