import { createHash, randomUUID } from 'node:crypto'
import { frameSubject, HEADERS, latestSubject, parseChannelName } from '@carillon/contracts'
import type { Connection, OutgoingMessage, WindowPublisher } from '@carillon/jetstream'
import { encodePublisher, type RuleBook } from '@carillon/rooms'
import { HttpProblem } from '@carillon/service'

/** What a server publishes. Everything but the data was checked by its schema. */
export interface RoomPublication {
  channel: string
  data: unknown
  key?: string
  idempotencyKey?: string
  /** The user who is shown as publisher, as the outside calls them. */
  from?: string
}

export interface RoomPublisher {
  /**
   * Publishes all, or refuses all when one is not valid; the places in their rooms, undefined for `latest:`. Resolves
   * when LIVE has them; after a 503 some may be stored.
   * @throws HttpProblem 422 `CHANNEL_DATA_INVALID` with a JSON pointer into the request, 503
   */
  publish(
    tenant: string,
    publications: readonly RoomPublication[],
    at: Pointer,
  ): Promise<(number | undefined)[]>
}

/** Where in the request the publication of an index stands. */
export type Pointer = (index: number) => string

export interface RoomPublisherDeps {
  connection: Pick<Connection, 'connected' | 'publishCore'>
  frames: WindowPublisher
  book: RuleBook
}

export function createRoomPublisher({ connection, frames, book }: RoomPublisherDeps): RoomPublisher {
  return {
    async publish(tenant, publications, at) {
      const messages = await Promise.all(
        publications.map(async (publication, index) => {
          const name = parseChannelName(publication.channel)
          if (name === undefined) throw unnamed(at(index))
          if (name.kind === 'room' && publication.key !== undefined) throw keyed(at(index))
          const rule = await book.ruleOf(tenant, name.namespace)
          const encoded = rule.encode(publication.data)
          if (!encoded.ok) throw invalid(`${at(index)}/data${encoded.problem.path}`, encoded.problem.message)
          return { kind: name.kind, message: messageOf(tenant, { ...publication, ...name }, encoded.body) }
        }),
      )
      // what waits for the connection to come back would be old by then
      if (!connection.connected) throw away()
      const stored = messages.filter(({ kind }) => kind === 'room')
      const outcomes = await frames.publishAll(stored.map(({ message }) => message))
      const places = new Map<OutgoingMessage, number>()
      for (const [index, outcome] of outcomes.entries()) {
        if (!outcome.ok) throw away(outcome.error)
        places.set((stored[index] as (typeof stored)[number]).message, outcome.sequence ?? 0)
      }
      for (const { kind, message } of messages) {
        if (kind === 'latest') connection.publishCore(message.subject, message.body, message.headers)
      }
      return messages.map(({ message }) => places.get(message))
    },
  }
}

function messageOf(
  tenant: string,
  publication: RoomPublication & { kind: 'room' | 'latest'; id: string },
  body: string,
): OutgoingMessage {
  const { kind, id, channel, key, idempotencyKey, from } = publication
  const publisher = from === undefined ? undefined : encodePublisher({ user: from, client: '' })
  const named = publisher === undefined ? {} : { [HEADERS.publisher]: publisher }
  if (kind === 'latest') {
    const headers = key === undefined ? named : { ...named, [HEADERS.key]: key }
    return { subject: latestSubject(tenant, id), body, headers }
  }
  return {
    subject: frameSubject(tenant, 'room', id),
    body,
    headers: named,
    messageId: idempotencyKey === undefined ? randomUUID() : messageId(tenant, channel, idempotencyKey),
  }
}

/** Keys of one tenant and room meet nobody else's. */
function messageId(tenant: string, channel: string, key: string): string {
  return createHash('sha256').update(`${tenant}\n${channel}\n${key}`).digest('base64url')
}

function invalid(field: string, message: string): HttpProblem {
  return new HttpProblem(422, 'CHANNEL_DATA_INVALID', `${field} ${message}.`, { field })
}

function unnamed(at: string): HttpProblem {
  return new HttpProblem(400, 'VALIDATION', 'This is no name of a channel.', { field: `${at}/channel` })
}

function keyed(at: string): HttpProblem {
  const message =
    'A key replaces what was said in a latest: channel. A room: keeps everything and takes none.'
  return new HttpProblem(400, 'VALIDATION', message, { field: `${at}/key` })
}

function away(cause?: Error): HttpProblem {
  return new HttpProblem(
    503,
    'MESH_UNAVAILABLE',
    'It could not be published now. Send it again; with the same idempotencyKey it is stored once.',
    { headers: { 'retry-after': '2' }, cause },
  )
}
