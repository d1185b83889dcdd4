import { INBOX_METHODS, type InboxMethod } from '@carillon/contracts'
import { INBOX_FILTERS } from '@carillon/postgres'
import { type Static, type TSchema, Type } from 'typebox'
import { ExternalId, oneOf, strict, Uuid } from '../schemas/shapes.js'

/** What each operation takes, as clients write it. */

const Ids = Type.Array(Uuid, { minItems: 1, maxItems: 100 })
const Nothing = Type.Object({}, strict)
const MarkParams = Type.Object({ ids: Ids, set: Type.Optional(Type.Boolean()) }, strict)
export type MarkParams = Static<typeof MarkParams>
const PageParams = Type.Object(
  {
    filter: Type.Optional(oneOf(INBOX_FILTERS)),
    before: Type.Optional(Uuid),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200 })),
  },
  strict,
)
export type PageParams = Static<typeof PageParams>
const SnoozeParams = Type.Object(
  { ids: Ids, until: Type.Union([Type.String({ format: 'date-time', maxLength: 64 }), Type.Null()]) },
  strict,
)
export type SnoozeParams = Static<typeof SnoozeParams>
const RemoveParams = Type.Object({ ids: Ids }, strict)
export type RemoveParams = Static<typeof RemoveParams>

export const INBOX_PARAMS = {
  inbox: PageParams,
  'inbox.unread': Nothing,
  'inbox.seen': MarkParams,
  'inbox.read': MarkParams,
  'inbox.archived': MarkParams,
  'inbox.snoozed': SnoozeParams,
  'inbox.delete': RemoveParams,
  'inbox.read-all': Nothing,
} satisfies Record<InboxMethod, TSchema>

/** The question itself; its `params` are checked by what its method takes. */
export const InboxQuestionSchema = Type.Object(
  {
    method: oneOf(INBOX_METHODS),
    params: Type.Optional(Type.Unknown()),
    user: Type.Object({ id: Uuid, externalId: ExternalId }, strict),
  },
  strict,
)
