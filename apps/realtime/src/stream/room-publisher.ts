import { randomUUID } from 'node:crypto'
import {
  type ChannelKind,
  frameSubject,
  HEADERS,
  latestSubject,
  type PublicationInfo,
} from '@carillon/contracts'
import { type Connection, PublishError, type WindowPublisher } from '@carillon/jetstream'
import { encodePublisher, MAX_PUBLICATION_BYTES } from '@carillon/rooms'
import { CarillonError } from '@carillon/service'

export interface RoomPublication {
  data: object
  from: PublicationInfo
  /** Of a `latest` channel: what of the publisher's own it replaces; all of it when absent. */
  key?: string
  /** Names this publication: stored once, however often it is tried. */
  messageId?: string
}

/** Puts what clients say into channels. */
export interface RoomPublisher {
  /**
   * Resolves with the offset when a room's message is stored, with undefined for a `latest` channel, whose messages
   * are never stored.
   * @throws PublicationTooLarge, RoomKeyError, PublishError
   */
  publish(
    tenant: string,
    channel: { kind: ChannelKind; id: string },
    publication: RoomPublication,
  ): Promise<number | undefined>
}

const MAX_KEY_LENGTH = 128

export class PublicationTooLarge extends CarillonError {
  override readonly name = 'PublicationTooLarge'

  constructor() {
    super(
      'PUBLICATION_TOO_LARGE',
      `A publication has at most ${MAX_PUBLICATION_BYTES} bytes and a key ${MAX_KEY_LENGTH}.`,
    )
  }
}

/** A room keeps all that is said in it, so that there is nothing a key could replace. */
export class RoomKeyError extends CarillonError {
  override readonly name = 'RoomKeyError'

  constructor() {
    super(
      'ROOM_KEY',
      'A key replaces what was said in a latest: channel. A room: keeps everything and takes none.',
    )
  }
}

export function createRoomPublisher(connection: Connection, frames: WindowPublisher): RoomPublisher {
  return {
    async publish(tenant, { kind, id }, { data, from, key = '', messageId }) {
      if (kind === 'room' && key !== '') throw new RoomKeyError()
      const body = JSON.stringify(data)
      if (Buffer.byteLength(body) > MAX_PUBLICATION_BYTES || key.length > MAX_KEY_LENGTH)
        throw new PublicationTooLarge()
      const publisher = encodePublisher(from)
      const headers: Record<string, string> =
        publisher === undefined ? {} : { [HEADERS.publisher]: publisher }
      if (kind === 'latest') {
        // what waits for the connection to come back would be old by then
        if (!connection.connected) throw new PublishError('UNAVAILABLE', 'The mesh is not reachable.')
        connection.publishCore(latestSubject(tenant, id), body, {
          ...headers,
          [HEADERS.key]: ownKey(from.user, key),
        })
        return undefined
      }
      return frames.publish({
        subject: frameSubject(tenant, 'room', id),
        body,
        headers,
        messageId: messageId ?? randomUUID(),
      })
    },
  }
}

/** A client replaces only what it said itself, never what a server or somebody else put under the same key. */
function ownKey(user: string, key: string): string {
  const owner = `@${escaped(user)}`
  return key === '' ? owner : `${owner}/${escaped(key)}`
}

/** As servers write keys: printable ASCII. By way of bytes, since half a surrogate pair can't be escaped. */
function escaped(text: string): string {
  return encodeURIComponent(Buffer.from(text).toString())
}
