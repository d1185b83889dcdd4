import { DELIVERY_CHANNELS, REASONS } from '@carillon/contracts'
import { MOST_REDRIVEN, REDRIVE_REFUSALS } from '@carillon/postgres'
import { Type } from 'typebox'
import {
  answer,
  ExternalId,
  Key,
  LimitText,
  moment,
  nullableMoment,
  nullableString,
  oneOf,
  strict,
  text,
} from './shapes.js'

/** Deliveries that failed, and sending them off again. */

const Moment = (description: string) =>
  Type.String({
    pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}(:\\d{2}(\\.\\d{1,6})?)?(Z|[+-]\\d{2}:\\d{2})$',
    description,
  })
const Place = Type.String({
  pattern: '^[0-9]{1,16}\\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$',
  description: '`next` of the page before.',
})
const DeadLetterId = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' })

const filter = {
  channel: Type.Optional(oneOf(DELIVERY_CHANNELS)),
  provider: Type.Optional(text(64, 'Of the last attempt.')),
  reason: Type.Optional(oneOf(REASONS)),
  workflow: Type.Optional(Key),
  user: Type.Optional(ExternalId),
  from: Type.Optional(Moment('Failed then or later, RFC 3339.')),
  to: Type.Optional(Moment('Failed before then, RFC 3339.')),
}
export const DeadLettersQuery = Type.Object(
  {
    ...filter,
    replayed: Type.Optional(
      oneOf(['true', 'false'], 'Whether it was sent off again before and failed again.'),
    ),
    after: Type.Optional(Place),
    limit: Type.Optional(LimitText),
  },
  strict,
)
export const DeadLetterParams = Type.Object({ id: DeadLetterId })
export const RedriveSchema = Type.Object(
  {
    ids: Type.Optional(Type.Array(DeadLetterId, { minItems: 1, maxItems: MOST_REDRIVEN, uniqueItems: true })),
    filter: Type.Optional(
      Type.Object(
        { ...filter, replayed: Type.Optional(Type.Boolean()) },
        { ...strict, description: 'As in the list; {} is every one.' },
      ),
    ),
    evenUnknown: Type.Optional(
      Type.Boolean({ description: 'Also what may have been sent: an attempt has no known outcome.' }),
    ),
    dryRun: Type.Optional(Type.Boolean({ description: 'Only tells what would be done.' })),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 10_000,
        description: 'Most to look at by filter; 1000 unless said.',
      }),
    ),
    after: Type.Optional(Place),
  },
  {
    ...strict,
    description: 'Either `ids` or `filter`.',
    examples: [
      {
        filter: { channel: 'push', from: '2026-05-02T14:02:00Z', to: '2026-05-02T14:40:00Z' },
        dryRun: true,
      },
    ],
  },
)

const letter = {
  id: Type.String({ description: 'Names it in every call about dead letters.' }),
  notification: Type.String(),
  channel: Type.String(),
  lane: Type.String(),
  provider: nullableString,
  reason: nullableString,
  detail: nullableString,
  workflow: Type.String(),
  user: Type.String(),
  attempts: Type.Integer(),
  unknowns: Type.Integer({ description: 'Attempts that may have rung without anybody knowing.' }),
  failedAt: moment,
  expiresAt: nullableMoment,
  replays: Type.Integer({ description: 'How often it was sent off again.' }),
  replayedAt: nullableMoment,
}
export const DeadLettersAnswer = answer({ deadLetters: Type.Array(answer(letter)), next: nullableString })
export const DeadLetterAnswer = Type.Object({}, { additionalProperties: true })
const Refusal = oneOf(REDRIVE_REFUSALS)
export const RedriveAnswer = answer({
  dryRun: Type.Boolean(),
  matched: Type.Integer(),
  redriven: Type.Integer({ description: 'On their way again; in a dry run: would be.' }),
  refused: Type.Record(Type.String(), Type.Integer(), { description: 'How many, by why not.' }),
  refusals: Type.Array(answer({ id: Type.String(), reason: Refusal, detail: Type.String() }), {
    description: 'The first 200.',
  }),
  to: nullableMoment,
  next: Type.Unsafe<string | null>({
    type: ['string', 'null'],
    description: 'Not all were looked at: send the same again with this as `after` and `to` as `filter.to`.',
  }),
})
