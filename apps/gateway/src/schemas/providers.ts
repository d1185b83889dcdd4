import { Type } from 'typebox'
import { answer, moment, nullableMoment, nullableString, oneOf, strict, text } from './shapes.js'

/** Accounts at providers, and how fast they may be used. */

const rate = (description: string) => Type.Number({ exclusiveMinimum: 0, maximum: 1_000_000, description })

const SettingsSchema = Type.Object(
  {
    perSecond: Type.Optional(rate('Messages a second through this account, of all workers together.')),
    burst: Type.Optional(
      Type.Number({
        minimum: 1,
        maximum: 1_000_000,
        description: 'So many may go at once; default: one second’s.',
      }),
    ),
    domains: Type.Optional(
      Type.Unsafe<Record<string, number>>({
        type: 'object',
        description: 'smtp: mails a second by domain, `*` for every other one.',
        patternProperties: { '^(\\*|[^\\s@A-Z*]{1,253})$': rate('Mails a second to this domain.') },
        additionalProperties: false,
        maxProperties: 500,
      }),
    ),
    originPerSecond: Type.Optional(rate('webpush: messages a second to each push service.')),
  },
  { ...strict, description: 'Paces that all workers keep together.' },
)

export const ProviderSchema = Type.Object(
  {
    app: Type.Optional(text(64)),
    name: Type.Optional(
      Type.String({
        pattern: '^[a-z0-9][a-z0-9-]{0,63}$',
        description: 'Tells several accounts of one kind and app apart; `position` orders them.',
      }),
    ),
    credentials: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description: 'Tried out, sealed on arrival, never given back. Left out: they stay as they are.',
      }),
    ),
    settings: Type.Optional(SettingsSchema),
    position: Type.Optional(Type.Integer({ minimum: 0, maximum: 1000 })),
    status: Type.Optional(oneOf(['active', 'paused'])),
  },
  {
    ...strict,
    description: 'An absent field stays as it is.',
    examples: [
      {
        credentials: { host: 'smtp.example.com', port: 465, secure: true, from: 'bells@example.com' },
        settings: { perSecond: 50, domains: { 'gmail.com': 20 } },
      },
    ],
  },
)

/** Which of the tenant's accounts of a kind. */
export const AccountQuery = Type.Object(
  { app: Type.Optional(text(64)), name: Type.Optional(text(64)) },
  strict,
)

const provider = {
  id: Type.String(),
  channel: Type.String(),
  kind: Type.String(),
  app: Type.String(),
  name: Type.String(),
  settings: Type.Unknown(),
  position: Type.Integer(),
  status: Type.String(),
  heldUntil: nullableMoment,
  heldReason: nullableString,
  updatedAt: moment,
}
export const ProviderAnswer = answer(provider)
export const ProviderPutAnswer = answer({
  ...provider,
  checked: oneOf(
    ['ok', 'unreachable', 'skipped'],
    '`unreachable`: the provider could not be asked, so they were saved untried; `skipped`: there was nothing to ask.',
  ),
  warning: Type.Optional(Type.String()),
})
export const CheckAnswer = answer({
  checked: oneOf(['ok', 'refused', 'unreachable', 'skipped']),
  reason: nullableString,
  remedy: nullableString,
})
