import { API_SCOPES } from '@carillon/postgres'
import { Type } from 'typebox'
import { answer, moment, oneOf, strict, text } from './shapes.js'

/** The tenant and its API keys. */

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

export const ApiKeySchema = Type.Object(
  {
    name: text(200),
    scopes: Type.Array(oneOf(API_SCOPES), { minItems: 1, uniqueItems: true }),
    environment: Type.Optional(oneOf(['live', 'test'])),
    expiresAt: Type.Optional(moment),
  },
  { ...strict, examples: [{ name: 'rides service', scopes: ['events:write', 'users:write'] }] },
)
