import { API_SCOPES } from '@carillon/postgres'
import { Type } from 'typebox'
import { answer, moment, nullableMoment, nullableString, oneOf, strict, text } from './shapes.js'

/** The tenant, its providers and API keys. */

export const TenantSchema = Type.Object(
  {
    name: Type.Optional(text(200)),
    locale: Type.Optional(Type.String({ maxLength: 35, pattern: '^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$' })),
    timezone: Type.Optional(text(64, 'An IANA name: the clock of everybody without their own.')),
  },
  {
    ...strict,
    description: 'An absent field stays as it is.',
    examples: [{ locale: 'de-AT', timezone: 'Europe/Vienna' }],
  },
)
export const TenantAnswer = answer({
  id: Type.String(),
  name: Type.String(),
  locale: Type.String(),
  timezone: Type.String(),
})

export const ProviderSchema = Type.Object(
  {
    app: Type.Optional(text(64)),
    name: Type.Optional(
      Type.String({
        pattern: '^[a-z0-9][a-z0-9-]{0,63}$',
        description: 'Tells several accounts of one kind and app apart; `position` orders them.',
      }),
    ),
    credentials: Type.Record(Type.String(), Type.Unknown(), {
      description: 'Sealed on arrival, never given back.',
    }),
    settings: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    position: Type.Optional(Type.Integer({ minimum: 0, maximum: 1000 })),
    status: Type.Optional(oneOf(['active', 'paused'])),
  },
  {
    ...strict,
    examples: [
      { credentials: { host: 'smtp.example.com', port: 465, from: 'Carillon <bells@example.com>' } },
    ],
  },
)
export const ProviderAnswer = answer({
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
})
export const ApiKeySchema = Type.Object(
  {
    name: text(200),
    scopes: Type.Array(oneOf(API_SCOPES), { minItems: 1, uniqueItems: true }),
    environment: Type.Optional(oneOf(['live', 'test'])),
    expiresAt: Type.Optional(moment),
  },
  { ...strict, examples: [{ name: 'rides service', scopes: ['events:write', 'users:write'] }] },
)
