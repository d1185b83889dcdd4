import { Type } from 'typebox'
import { ChannelGrants } from './channels.js'
import { answer, moment, nullableString, nullableText, oneOf, strict, text } from './shapes.js'

/** Users, their devices and tokens. */

export const UserSchema = Type.Object(
  {
    email: Type.Optional(
      Type.Unsafe<string | null>({
        type: ['string', 'null'],
        maxLength: 320,
        pattern: '^[^\\s@]+@[^\\s@]+$',
      }),
    ),
    phone: Type.Optional(
      Type.Unsafe<string | null>({
        type: ['string', 'null'],
        maxLength: 32,
        description: 'With the country code, like +43 660 1234567; kept without spaces and signs.',
      }),
    ),
    name: Type.Optional(nullableText(256)),
    locale: Type.Optional(
      Type.Unsafe<string | null>({
        type: ['string', 'null'],
        maxLength: 35,
        pattern: '^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$',
      }),
    ),
    timezone: Type.Optional(nullableText(64)),
    roles: Type.Optional(Type.Array(text(64), { maxItems: 50, uniqueItems: true })),
    attributes: Type.Optional(Type.Record(Type.String({ maxLength: 128 }), Type.Unknown())),
    status: Type.Optional(oneOf(['active', 'suspended'])),
  },
  {
    ...strict,
    description: 'An absent field stays as it is, null clears it.',
    examples: [{ email: 'ada@example.com', name: 'Ada', locale: 'de-AT', roles: ['customer'] }],
  },
)
export const UserAnswer = answer({
  id: Type.String(),
  email: nullableString,
  phone: nullableString,
  name: nullableString,
  locale: nullableString,
  timezone: nullableString,
  roles: Type.Array(Type.String()),
  attributes: Type.Unknown(),
  status: Type.String(),
  createdAt: moment,
  updatedAt: moment,
})
const deviceCommon = { app: Type.Optional(text(64)), locale: Type.Optional(text(35)) }
export const DeviceSchema = Type.Union(
  [
    Type.Object({ kind: Type.Literal('fcm'), token: text(4096), ...deviceCommon }, strict),
    Type.Object(
      {
        kind: Type.Literal('apns'),
        token: Type.String({ pattern: '^[0-9a-fA-F]{8,400}$' }),
        environment: Type.Optional(oneOf(['production', 'sandbox'])),
        ...deviceCommon,
      },
      strict,
    ),
    Type.Object(
      {
        kind: Type.Literal('webpush'),
        endpoint: Type.String({ pattern: '^https://', maxLength: 2048 }),
        p256dh: Type.String({ pattern: '^[A-Za-z0-9_-]{86,88}=*$' }),
        auth: Type.String({ pattern: '^[A-Za-z0-9_-]{21,24}=*$' }),
        ...deviceCommon,
      },
      strict,
    ),
  ],
  {
    description: 'Where one installation is reached.',
    examples: [{ kind: 'fcm', token: 'fcm-token-of-adas-phone' }],
  },
)
export const LiveActivitySchema = Type.Object(
  { token: Type.String({ pattern: '^[0-9a-fA-F]{8,400}$' }) },
  { ...strict, description: "The activity's own push token.", examples: [{ token: '80d1f2a4c6e8' }] },
)
export const DeviceAnswer = answer({
  id: Type.String(),
  kind: Type.String(),
  app: Type.String(),
  locale: nullableString,
  status: Type.String(),
  reason: nullableString,
  registeredAt: moment,
  updatedAt: moment,
})
export const TokenRequestSchema = Type.Object(
  {
    ttlSeconds: Type.Optional(
      Type.Integer({ minimum: 60, maximum: 86_400, description: '3600 unless said.' }),
    ),
    channels: Type.Optional(ChannelGrants),
  },
  { ...strict, examples: [{}, { channels: { 'room:ride-9': ['subscribe', 'publish'] } }] },
)
export const TokenAnswer = answer({ token: Type.String(), expiresAt: moment })
