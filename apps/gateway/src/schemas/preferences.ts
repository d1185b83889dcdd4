import { CapSchema, CHANNELS, clock, DELIVERY_CHANNELS, days } from '@carillon/contracts'
import { Type } from 'typebox'
import { Key } from './shapes.js'

/** Shapes of what people and tenants prefer: rules, categories, quiet hours, caps. */

const strict = { additionalProperties: false } as const
const nullableText = Type.Unsafe<string | null>({ type: ['string', 'null'] })
/** What can be held or capped: the inbox makes no noise. */
const loudChannels = Type.Array(
  Type.Unsafe<(typeof DELIVERY_CHANNELS)[number]>({ type: 'string', enum: [...DELIVERY_CHANNELS] }),
  { minItems: 1, maxItems: DELIVERY_CHANNELS.length, uniqueItems: true },
)

export const PreferencesSchema = Type.Object(
  {
    preferences: Type.Array(
      Type.Object(
        {
          category: Type.Optional(Type.Union([Key, Type.Null()])),
          channel: Type.Optional(Type.Unsafe<string | null>({ enum: [...CHANNELS, null] })),
          enabled: Type.Boolean(),
          if: Type.Optional(
            Type.String({
              minLength: 1,
              maxLength: 2000,
              description:
                'CEL over data and event: the rule says `enabled` while it holds, and the contrary when not.',
            }),
          ),
        },
        strict,
      ),
      { maxItems: 500 },
    ),
  },
  {
    ...strict,
    description: 'Replaces all rules. null stands for every category or channel; the most exact rule wins.',
    examples: [
      {
        preferences: [
          { category: 'offers', channel: 'push', enabled: false },
          { category: 'offers', channel: 'email', enabled: true, if: 'data.amount > 100' },
        ],
      },
    ],
  },
)
export const PreferencesAnswer = Type.Object({
  preferences: Type.Array(
    Type.Object({
      category: nullableText,
      channel: nullableText,
      enabled: Type.Boolean(),
      if: Type.Optional(Type.String()),
    }),
  ),
})
export const EffectiveAnswer = Type.Object({
  effective: Type.Array(
    Type.Object({
      category: nullableText,
      name: nullableText,
      critical: Type.Boolean(),
      channels: Type.Record(
        Type.String(),
        Type.Object({ enabled: Type.Boolean(), decidedBy: Type.String() }),
      ),
    }),
  ),
})

export const CategorySchema = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 200 }),
    critical: Type.Optional(Type.Boolean({ description: "Can't be switched off." })),
    defaults: Type.Optional(
      Type.Object(
        {
          inbox: Type.Optional(Type.Boolean()),
          push: Type.Optional(Type.Boolean()),
          email: Type.Optional(Type.Boolean()),
          sms: Type.Optional(Type.Boolean()),
          webhook: Type.Optional(Type.Boolean()),
        },
        { ...strict, description: 'Channel → on or off; on when absent.' },
      ),
    ),
  },
  { ...strict, examples: [{ name: 'Rides', defaults: { email: false } }] },
)
export const CategoryAnswer = Type.Object({
  key: Type.String(),
  name: Type.String(),
  critical: Type.Boolean(),
  defaults: Type.Unknown(),
})

export const QuietHoursSchema = Type.Object(
  {
    windows: Type.Array(
      Type.Object(
        {
          from: clock('Quiet from this time on …'),
          to: clock('… until this one; over midnight when it is earlier, the whole day when it is the same.'),
          days: Type.Optional(days),
        },
        strict,
      ),
      { maxItems: 7, description: 'None: never quiet, whatever the tenant has.' },
    ),
    channels: Type.Optional(loudChannels),
  },
  {
    ...strict,
    description:
      "On the person's clock. What rings meanwhile is held and sent afterwards; push and sms unless `channels` says otherwise.",
    examples: [
      {
        windows: [
          { from: '22:00', to: '07:00' },
          { from: '00:00', to: '00:00', days: ['sun'] },
        ],
      },
    ],
  },
)
export const QuietHoursAnswer = Type.Object({
  quietHours: Type.Union([QuietHoursSchema, Type.Null()]),
  by: Type.Unsafe<'person' | 'tenant' | null>({ enum: ['person', 'tenant', null] }),
  timezone: Type.String(),
})

export const CapsSchema = Type.Object(
  {
    caps: Type.Array(
      Type.Object({ ...CapSchema.properties, channels: Type.Optional(loudChannels) }, strict),
      { maxItems: 5 },
    ),
  },
  {
    ...strict,
    description:
      'Per person, across all workflows. What is over a cap is left to the inbox; critical categories are not capped. 1d is a calendar day of the person.',
    examples: [{ caps: [{ count: 5, per: '1d', channels: ['push'] }] }],
  },
)
