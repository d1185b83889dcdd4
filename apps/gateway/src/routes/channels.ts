import { parseChannelName } from '@carillon/contracts'
import { HttpProblem } from '@carillon/service'
import { Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { principalOf } from '../principal.js'
import { answers, type Edge } from '../route.js'
import {
  ChannelName,
  PublishedRoomAnswer,
  PublishedRoomsAnswer,
  PublishRoomSchema,
  PublishRoomsSchema,
  RoomHistoryAnswer,
  RoomHistoryQuery,
} from '../schemas/channels.js'
import { limitOf } from '../schemas/shapes.js'

const tags = ['channels']
const Channel = Type.Object({ channel: ChannelName })

/** What servers do in rooms: publish and read back. */
export function addChannelRoutes(app: Edge, deps: EdgeDeps): void {
  /** What offsets are worth; nothing for `latest:`, which has none. */
  const epochFor = async (offsets: readonly (number | undefined)[]) => {
    const position = offsets.some((offset) => offset !== undefined) ? await deps.position() : undefined
    return position === undefined ? {} : { epoch: position.epoch }
  }
  app.post(
    '/channels/:channel/publish',
    {
      schema: {
        summary: 'Publish into a room',
        tags,
        params: Channel,
        body: PublishRoomSchema,
        response: answers({ 200: PublishedRoomAnswer }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      await deps.spend(request, 1)
      const publication = { ...request.body, channel: request.params.channel }
      const [offset] = await deps.rooms.publisher.publish(tenant, [publication], () => '')
      deps.events.accepted('publication', 1)
      return { ...(offset === undefined ? {} : { offset }), ...(await epochFor([offset])) }
    },
  )
  app.post(
    '/channels/publish',
    {
      schema: {
        summary: 'Publish into many rooms',
        tags,
        body: PublishRoomsSchema,
        response: answers({ 200: PublishedRoomsAnswer }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const { publications } = request.body
      await deps.spend(request, publications.length)
      const offsets = await deps.rooms.publisher.publish(
        tenant,
        publications,
        (index) => `/publications/${index}`,
      )
      deps.events.accepted('publication', offsets.length)
      return {
        publications: offsets.map((offset) => (offset === undefined ? {} : { offset })),
        ...(await epochFor(offsets)),
      }
    },
  )
  app.get(
    '/channels/:channel/history',
    {
      schema: {
        summary: 'What was published into a room, oldest first',
        description: 'The last ones, or the first after `since`. A room keeps 200 for a day.',
        tags,
        params: Channel,
        querystring: RoomHistoryQuery,
        response: answers({ 200: RoomHistoryAnswer }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const name = parseChannelName(request.params.channel)
      if (name?.kind !== 'room') {
        throw new HttpProblem(400, 'CHANNEL_WITHOUT_HISTORY', 'Only a `room:` is kept.', { field: 'channel' })
      }
      const since = request.query.since === undefined ? undefined : Number(request.query.since)
      const position = await deps.position()
      const publications = await deps.rooms.read({
        tenant,
        id: name.id,
        since,
        limit: limitOf(request.query.limit),
      })
      return { publications, ...(position === undefined ? {} : { epoch: position.epoch }) }
    },
  )
}
