import { Type } from 'typebox'
import { answer, nullableString, oneOf, strict } from './shapes.js'

/** Mails that come back. */

export const MailReportQuery = Type.Object(
  {
    recipient: Type.Optional(
      Type.String({
        minLength: 3,
        maxLength: 320,
        description: 'The address that the mail was handed in for (RCPT TO), where it is known.',
      }),
    ),
  },
  strict,
)
export const MailReportAnswer = answer({
  outcome: oneOf(
    ['bounced', 'delivered', 'complained', 'noted', 'ignored'],
    '`noted`: it may arrive yet, or was refused for a while; `ignored`: a holiday reply, or no report at all.',
  ),
  deliveryId: nullableString,
  detail: nullableString,
})
