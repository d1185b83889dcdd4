import {
  CapSchema,
  CHANNELS,
  CLOCK_PATTERN,
  DURATION_OR_ZERO_PATTERN,
  DURATION_PATTERN,
  LANES,
  REASONS,
  RUN_STATES,
  TEMPLATE_KINDS,
  WEEKDAYS,
} from '@carillon/contracts'
import { type Static, Type } from 'typebox'

/** What a `*.test.yaml` file says. */

const strict = { additionalProperties: false } as const
const text = (maxLength = 512) => Type.String({ minLength: 1, maxLength })
const channel = Type.Enum([...CHANNELS])
const clock = Type.String({ pattern: CLOCK_PATTERN })
const after = Type.Optional(Type.String({ pattern: DURATION_OR_ZERO_PATTERN }))
const nullable = (maxLength?: number) => Type.Optional(Type.String({ maxLength: maxLength ?? 512 }))

const QuietHours = Type.Object(
  {
    windows: Type.Array(
      Type.Object(
        { from: clock, to: clock, days: Type.Optional(Type.Array(Type.Enum([...WEEKDAYS]))) },
        strict,
      ),
    ),
    channels: Type.Optional(Type.Array(channel)),
  },
  strict,
)

const Preference = Type.Object(
  {
    category: Type.Optional(text(64)),
    channel: Type.Optional(channel),
    enabled: Type.Boolean(),
    condition: Type.Optional(text(2_000)),
  },
  strict,
)

const DEVICE_KINDS = ['fcm', 'apns', 'webpush'] as const
const Device = Type.Union([
  Type.Enum([...DEVICE_KINDS]),
  Type.Object({ kind: Type.Enum([...DEVICE_KINDS]), app: Type.Optional(text(64)) }, strict),
])

const Person = Type.Object(
  {
    email: nullable(320),
    phone: nullable(32),
    name: nullable(256),
    locale: nullable(35),
    timezone: nullable(64),
    status: Type.Optional(Type.Enum(['active', 'suspended'])),
    online: Type.Optional(Type.Boolean()),
    devices: Type.Optional(Type.Array(Device)),
    preferences: Type.Optional(Type.Array(Preference)),
    quietHours: Type.Optional(QuietHours),
    roles: Type.Optional(Type.Array(text(64))),
    topics: Type.Optional(Type.Array(text())),
    attributes: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  },
  strict,
)

const Tenant = Type.Object(
  {
    locale: Type.Optional(text(35)),
    timezone: Type.Optional(text(64)),
    quietHours: Type.Optional(QuietHours),
    preferences: Type.Optional(Type.Array(Preference)),
    caps: Type.Optional(
      Type.Array(
        Type.Object({ ...CapSchema.properties, channels: Type.Optional(Type.Array(channel)) }, strict),
      ),
    ),
  },
  strict,
)

export const FixtureSchema = Type.Object(
  {
    workflows: Type.Optional(Type.Array(text(), { minItems: 1 })),
    now: Type.Optional(text(64)),
    tenant: Type.Optional(Tenant),
    people: Type.Optional(Type.Record(Type.String(), Person)),
    categories: Type.Optional(
      Type.Record(
        Type.String(),
        Type.Object(
          {
            name: Type.Optional(text(200)),
            critical: Type.Optional(Type.Boolean()),
            defaults: Type.Optional(Type.Record(Type.String(), Type.Boolean())),
          },
          strict,
        ),
      ),
    ),
    templates: Type.Optional(
      Type.Record(
        Type.String(),
        Type.Object(
          {
            kind: Type.Optional(Type.Enum([...TEMPLATE_KINDS])),
            locales: Type.Record(Type.String(), Type.Unknown()),
          },
          strict,
        ),
      ),
    ),
    events: Type.Union([text(), Type.Array(Type.Unknown(), { minItems: 1 })]),
    expect: Type.Optional(Type.Array(Type.Unknown())),
  },
  strict,
)

/** What may happen, each named by one of its keys. */
export const HAPPENING_SCHEMAS = {
  type: Type.Object(
    {
      type: text(200),
      data: Type.Optional(Type.Unknown()),
      id: Type.Optional(text()),
      source: Type.Optional(text()),
      subject: Type.Optional(text()),
      time: Type.Optional(text(64)),
      lane: Type.Optional(Type.Enum([...LANES])),
      after,
    },
    strict,
  ),
  seen: Type.Object({ seen: text(256), workflow: text(64), after }, strict),
  cancel: Type.Object({ cancel: Type.Object({ workflow: text(64), key: text(256) }, strict), after }, strict),
  advance: Type.Object({ advance: Type.String({ pattern: DURATION_PATTERN }) }, strict),
  recorded: Type.Object({ recorded: text(), after }, strict),
} as const

export const ExpectedSchema = Type.Object(
  {
    workflow: text(64),
    to: text(256),
    event: Type.Optional(text()),
    state: Type.Optional(Type.Enum([...RUN_STATES])),
    reason: Type.Optional(Type.Enum([...REASONS])),
    items: Type.Optional(Type.Integer({ minimum: 0 })),
    steps: Type.Optional(Type.Array(Type.Unknown())),
  },
  strict,
)

type Happenings = { [K in keyof typeof HAPPENING_SCHEMAS]: Static<(typeof HAPPENING_SCHEMAS)[K]> }
export type Happening = Happenings[keyof Happenings]
export type ExpectedRun = Omit<Static<typeof ExpectedSchema>, 'steps'> & { steps?: ExpectedStep[] }
/** `inbox`, `{push: 'skip UNSUBSCRIBED'}`, or `{inbox: {title: …}}`. */
export interface ExpectedStep {
  type: string
  /** undefined: the bare name. */
  word: string | undefined
  content: Record<string, unknown> | undefined
}
export type FixtureBody = Static<typeof FixtureSchema>
