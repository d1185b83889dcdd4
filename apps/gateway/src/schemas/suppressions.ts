import { Type } from 'typebox'
import { answer, LimitText, moment, nullableString, nullableText, oneOf, strict } from './shapes.js'

/** Addresses that nothing is sent to any more. */

export const SuppressionKind = oneOf(['email', 'phone', 'webhook'])
const Address = Type.String({ minLength: 1, maxLength: 2048 })

export const SuppressionParams = Type.Object({ kind: SuppressionKind, address: Address })
export const SuppressionQuery = Type.Object(
  {
    kind: Type.Optional(SuppressionKind),
    address: Type.Optional(Address),
    after: Type.Optional(
      Type.String({
        pattern: '^(email|phone|webhook):.{1,2048}$',
        description: '`next` of the page before.',
      }),
    ),
    limit: Type.Optional(LimitText),
  },
  strict,
)
export const SuppressionSchema = Type.Object(
  { detail: Type.Optional(nullableText(500)) },
  { ...strict, examples: [{ detail: 'asked by telephone' }] },
)
export const SuppressionAnswer = answer({
  kind: Type.String(),
  address: Type.String(),
  reason: oneOf(
    ['bounced', 'complained', 'stopped', 'refused', 'operator'],
    'After `complained` critical messages are still sent.',
  ),
  detail: nullableString,
  since: moment,
})
export const SuppressionsAnswer = answer({
  suppressions: Type.Array(SuppressionAnswer),
  next: nullableString,
})
