import type { RECEIPT_STATUSES } from '@carillon/contracts'
import { INBOX_FILTERS } from '@carillon/postgres'
import { type Static, Type } from 'typebox'
import type { PageWish } from '../inbox/read-inbox.js'
import {
  answer,
  LimitText,
  limitOf,
  moment,
  nullableMoment,
  nullableString,
  oneOf,
  strict,
  text,
  Uuid,
} from './shapes.js'

/** What people see, and what devices report. */

const InboxItemAnswer = answer({
  id: Type.String(),
  workflow: Type.String(),
  category: nullableString,
  title: Type.String(),
  subtitle: nullableString,
  body: Type.String(),
  picture: nullableString,
  url: nullableString,
  actions: Type.Array(Type.Object({ id: Type.String(), label: Type.String(), url: nullableString })),
  data: Type.Unknown(),
  lane: Type.String(),
  createdAt: moment,
  seenAt: nullableMoment,
  readAt: nullableMoment,
  archivedAt: nullableMoment,
  snoozedUntil: nullableMoment,
  revision: Type.Integer({ description: 'Of two states the one with the higher revision is the newer.' }),
})
const PositionAnswer = Type.Unsafe<{ epoch: string; offset: number } | null>({
  type: ['object', 'null'],
  properties: { epoch: { type: 'string' }, offset: { type: 'integer' } },
  description: 'Place in the realtime stream, taken before the rows: subscribe from here.',
})
export const InboxPageQuery = Type.Object(
  {
    filter: Type.Optional(
      oneOf(
        INBOX_FILTERS,
        'all unless said: what is in the inbox. archived and snoozed: what was put away. No item is in two of the three.',
      ),
    ),
    before: Type.Optional(Uuid),
    limit: Type.Optional(LimitText),
  },
  strict,
)
export function pageWishOf(query: Static<typeof InboxPageQuery>): PageWish {
  const { limit, ...wish } = query
  return { ...wish, limit: limitOf(limit) }
}
const Unread = Type.Integer({ description: 'Of what is in the inbox; 1,000 means so many or more.' })
export const InboxPageAnswer = Type.Object(
  {
    notifications: Type.Array(InboxItemAnswer),
    unread: Unread,
    next: Type.Unsafe<string | null>({ type: ['string', 'null'], description: '`before` of the next page' }),
    position: PositionAnswer,
  },
  {
    examples: [
      {
        notifications: [
          {
            id: '019a8c3e-5b00-8f2a-9c41-5d0e7f6a1b23',
            workflow: 'ride-accepted',
            category: 'rides',
            title: 'Mira is on the way',
            subtitle: null,
            body: 'Blue Ioniq, W-4711, 4 min',
            picture: null,
            url: 'https://rides.example/r/7',
            actions: [{ id: 'call', label: 'Call', url: 'tel:+431234' }],
            data: { ride: 7 },
            lane: 'high',
            createdAt: '2026-01-05T09:30:00.000Z',
            seenAt: '2026-01-05T09:30:04.120Z',
            readAt: null,
            archivedAt: null,
            snoozedUntil: null,
            revision: 1,
          },
        ],
        unread: 1,
        next: null,
        position: { epoch: '5f1c09', offset: 48211 },
      },
    ],
  },
)
export const UnreadAnswer = Type.Object({ unread: Unread }, { examples: [{ unread: 3 }] })
export const ChangedAnswer = Type.Object({ changed: Type.Integer() }, { examples: [{ changed: 12 }] })
export const SnoozeSchema = Type.Object(
  {
    until: Type.String({
      format: 'date-time',
      maxLength: 64,
      description: 'RFC 3339; ahead, at most a year.',
    }),
  },
  strict,
)
export const ReceiptsSchema = Type.Object(
  {
    receipts: Type.Array(
      Type.Object(
        {
          token: Type.Optional(text(256, 'The receipt token that came with the message.')),
          notificationId: Type.Optional(Uuid),
          deliveryId: Type.Optional(Uuid),
          status: oneOf([
            'delivered',
            'opened',
            'clicked',
            'dismissed',
          ] satisfies (typeof RECEIPT_STATUSES)[number][]),
          at: Type.Optional(moment),
          action: Type.Optional(text(64, 'Clicked: the id of the button that was pressed.')),
        },
        strict,
      ),
      { minItems: 1, maxItems: 500 },
    ),
  },
  {
    ...strict,
    description:
      'A device sends tokens; a server with the scope receipts:write names notification and delivery.',
  },
)
export const ReceiptsAnswer = answer({
  accepted: Type.Integer(),
  rejected: Type.Array(Type.Object({ index: Type.Integer(), code: Type.String(), detail: Type.String() })),
})
