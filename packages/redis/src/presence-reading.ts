import type { RedisConnection } from './connection.js'
import { NODES_KEY, roomKey } from './presence-keys.js'
import type { PresenceMember } from './presence-places.js'

export interface PresenceCounts {
  /** Connections. */
  clients: number
  /** Different people. */
  users: number
}

export interface PresenceView extends PresenceCounts {
  /** In no order; undefined when there are more than are listed. */
  members: PresenceMember[] | undefined
}

/** Who is in a room; places of nodes whose lease is over don't count. @throws RedisError `UNAVAILABLE` */
export async function readRoom(
  redis: RedisConnection,
  name: string,
  mostListed: number,
): Promise<PresenceView> {
  const room = roomKey(name)
  const [found, alive] = await redis.run((client) =>
    Promise.all([client.presCount(room, mostListed), client.presAlive(NODES_KEY)]),
  )
  const living = found.filter(([node]) => alive.includes(node))
  const nodes = living.map(([node]) => node)
  const clients = living.reduce((sum, [, count]) => sum + count, 0)
  if (clients === 0) return { clients: 0, users: 0, members: [] }
  if (clients > mostListed) {
    const users = await redis.run((client) => client.presPeople(room, ...nodes))
    return { clients, users, members: undefined }
  }
  // rows came along unless places of the dead made the room too large
  const listed = living.some(([, , rows]) => rows.length > 0)
  const rows = listed
    ? living.map(([, , rows]) => rows)
    : await redis.run((client) => Promise.all(nodes.map((node) => client.hvals(`${room}:m:${node}`))))
  const members = rows.flat().map(storedMember)
  return { clients: members.length, users: new Set(members.map(({ user }) => user)).size, members }
}

/** A row of a room: the client that others know it as, a line break, and JSON. */
export function storedMember(row: string): PresenceMember {
  const end = row.indexOf('\n')
  const { user, info } = JSON.parse(row.slice(end + 1)) as { user: string; info?: unknown }
  const client = row.slice(0, end)
  return info === undefined ? { user, client } : { user, client, info }
}

/**
 * Shares a costly look among those who ask at once. Who asks while one is under way gets the next one, so that an
 * answer never is older than its question.
 */
export function shared<T>(look: () => Promise<T>, onIdle: () => void): () => Promise<T> {
  let running: Promise<unknown> | undefined
  let next: Promise<T> | undefined
  const start = (): Promise<T> => {
    const looking = look()
    const done: Promise<void> = looking.then(
      () => finish(done),
      () => finish(done),
    )
    running = done
    return looking
  }
  const finish = (done: Promise<void>): void => {
    if (running !== done) return
    running = undefined
    if (next === undefined) onIdle()
  }
  return () => {
    if (next !== undefined) return next
    if (running === undefined) return start()
    next = running.then(() => {
      next = undefined
      return start()
    })
    return next
  }
}
