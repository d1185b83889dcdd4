import type { RECEIPT_STATUSES } from '@carillon/contracts'
import { Type } from 'typebox'
import { answer, moment, nullableMoment, nullableString, oneOf, strict, text, Uuid } from './shapes.js'

/** What people see, and what devices report. */

export const InboxItemAnswer = answer({
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
})
export const PositionAnswer = Type.Unsafe<{ epoch: string; offset: number } | null>({
  type: ['object', 'null'],
  properties: { epoch: { type: 'string' }, offset: { type: 'integer' } },
  description: 'Place in the realtime stream, taken before the rows: subscribe from here.',
})
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
