import { API_SCOPES } from '@carillon/postgres'
import { Type } from 'typebox'
import { answer, moment, nullableMoment, nullableString, oneOf, strict, text } from './shapes.js'

/** Providers and API keys. */

export const ProviderSchema = Type.Object(
  {
    app: Type.Optional(text(64)),
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
