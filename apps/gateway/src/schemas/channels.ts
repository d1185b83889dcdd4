import { CHANNEL_PERMISSIONS } from '@carillon/contracts'
import { MAX_CHANNEL_GRANTS } from '@carillon/rooms'
import { Type } from 'typebox'
import { answer, ExternalId, LimitText, moment, oneOf, strict } from './shapes.js'

/** Rooms: how they behave, what is published into them, and tokens for them. */

export const ChannelName = Type.String({
  pattern: '^(room|latest):[a-z0-9][a-z0-9-]{0,63}$',
  description: '`room:<id>` is kept and can be resumed, `latest:<id>` is for who listens now.',
})
const Permissions = Type.Array(oneOf(CHANNEL_PERMISSIONS), { maxItems: 4, uniqueItems: true })

/** The claim `channels` of a user's token. */
export const ChannelGrants = Type.Record(
  Type.String({ pattern: '^(room|latest):([a-z0-9][a-z0-9-]{0,63}|[a-z0-9-]{0,64}\\*)$' }),
  Permissions,
  {
    ...strict,
    maxProperties: MAX_CHANNEL_GRANTS,
    description: 'What the token allows in which rooms, by name; a `*` at the end stands for any end.',
  },
)

export const ChannelTokenSchema = Type.Object(
  {
    channel: ChannelName,
    permissions: Type.Optional(Permissions),
    ttlSeconds: Type.Optional(
      Type.Integer({ minimum: 60, maximum: 86_400, description: '3600 unless said.' }),
    ),
    info: Type.Optional(
      Type.Unknown({ description: 'Shown to others in the room beside the user; 1,024 bytes as JSON.' }),
    ),
  },
  { ...strict, examples: [{ channel: 'room:ride-9', permissions: ['subscribe', 'publish'] }] },
)

export const ChannelRuleParams = Type.Object({
  namespace: Type.String({
    pattern: '^[a-z0-9]{1,64}$',
    description: 'What stands before the first dash: `room:ride-9` and `latest:ride-9` are of `ride`.',
  }),
})
export const ChannelRuleSchema = Type.Object(
  {
    authorise: Type.Optional(
      Type.Boolean({ description: 'Ask services about whom a token lets in no further. false unless said.' }),
    ),
    allow: Type.Optional(
      Type.Array(oneOf(CHANNEL_PERMISSIONS), {
        maxItems: 4,
        uniqueItems: true,
        description: 'What everybody who is let in may do besides; presence and history unless said.',
      }),
    ),
    joins: Type.Optional(
      Type.Boolean({ description: 'Tell subscribers who comes and goes. true unless said.' }),
    ),
    schema: Type.Optional(
      Type.Unsafe<Record<string, unknown> | null>({
        type: ['object', 'null'],
        description: 'JSON Schema (draft 2020-12) of what may be published; any object unless said.',
      }),
    ),
  },
  {
    ...strict,
    description: 'Takes the place of the whole rule.',
    examples: [
      {
        authorise: true,
        schema: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
      },
    ],
  },
)
export const ChannelRuleAnswer = answer({
  namespace: Type.String(),
  authorise: Type.Boolean(),
  allow: Type.Array(Type.String()),
  joins: Type.Boolean(),
  schema: Type.Unknown(),
  updatedAt: moment,
})
export const ChannelRulesAnswer = answer({ rules: Type.Array(ChannelRuleAnswer) })

const publication = {
  data: Type.Record(Type.String(), Type.Unknown(), { description: 'An object, 32 KiB as JSON.' }),
  key: Type.Optional(
    Type.String({
      pattern: '^[\\x21-\\x7e]{1,128}$',
      description:
        '`latest:` only, refused for a `room:`: newer ones of the same key replace it, for who is slow.',
    }),
  ),
  idempotencyKey: Type.Optional(
    Type.String({
      pattern: '^[\\x21-\\x7e]{1,255}$',
      description: '`room:` only: stored once for this key within two minutes, whatever is sent with it.',
    }),
  ),
  from: Type.Optional({ ...ExternalId, description: 'Shown as the publisher; nobody unless said.' }),
}
export const PublishRoomSchema = Type.Object(publication, {
  ...strict,
  examples: [{ data: { text: 'I am at the corner' }, from: 'ada' }],
})
export const PublishRoomsSchema = Type.Object(
  {
    publications: Type.Array(Type.Object({ channel: ChannelName, ...publication }, strict), {
      minItems: 1,
      maxItems: 100,
    }),
  },
  {
    ...strict,
    description: 'One that is not valid refuses all of them.',
    examples: [{ publications: [{ channel: 'latest:ride-9', data: { lat: 48.2, lng: 16.4 } }] }],
  },
)
const placed = {
  offset: Type.Optional(Type.Integer({ description: 'Its place in the room; absent for `latest:`.' })),
}
const epoch = Type.Optional(Type.String({ description: 'What offsets count from; absent for `latest:`.' }))
export const PublishedRoomAnswer = answer({ ...placed, epoch })
export const PublishedRoomsAnswer = answer({ publications: Type.Array(answer(placed)), epoch })

export const RoomHistoryQuery = Type.Object(
  {
    limit: Type.Optional(LimitText),
    since: Type.Optional(
      Type.String({ pattern: '^(0|[1-9][0-9]{0,15})$', description: 'An offset: what came after it.' }),
    ),
  },
  strict,
)
export const RoomHistoryAnswer = answer({
  publications: Type.Array(
    answer({
      offset: Type.Integer(),
      at: moment,
      data: Type.Unknown(),
      info: Type.Optional(Type.Unknown({ description: 'Who published: user, client, info.' })),
    }),
  ),
  epoch,
})
