import type { Connection, WindowPublisher } from '@carillon/jetstream'
import type { Database } from '@carillon/postgres'
import { createRuleBook, createRuleCompiler, type RuleBook, type RuleCompiler } from '@carillon/rooms'
import { rulesOfTenant } from '../answers/channel-rules.js'
import { createRoomPublisher, type RoomPublisher } from './publish-rooms.js'
import { readRoom, type StoredPublication } from './room-history.js'

/** What routes do with rooms. */
export interface Rooms {
  compiler: RuleCompiler
  book: RuleBook
  publisher: RoomPublisher
  read(room: {
    tenant: string
    id: string
    since: number | undefined
    limit: number
  }): Promise<StoredPublication[]>
}

export function createRooms(deps: {
  connection: Connection
  database: Database
  frames: WindowPublisher
  now: () => number
}): Rooms {
  const { connection, database, frames, now } = deps
  const compiler = createRuleCompiler()
  const book = createRuleBook({ compiler, now, read: (tenant) => rulesOfTenant(database, tenant) })
  return {
    compiler,
    book,
    publisher: createRoomPublisher({ connection, frames, book }),
    read: (room) => readRoom(connection, room),
  }
}
