import {
  AudienceSchema,
  ContentSchema,
  LANES,
  LayoutSchema,
  PartialSchema,
  type RECEIPT_STATUSES,
  RecipientSchema,
} from '@carillon/contracts'
import { API_SCOPES } from '@carillon/postgres'
import { type TProperties, type TSchema, Type } from 'typebox'

/** Shapes of what the API takes and gives. Nothing that isn't here is accepted; examples are true. */

const strict = { additionalProperties: false } as const
const text = (max: number, description?: string) =>
  Type.String({ minLength: 1, maxLength: max, ...(description === undefined ? {} : { description }) })
const oneOf = <T extends string>(values: readonly T[], description?: string) =>
  Type.Unsafe<T>({ type: 'string', enum: [...values], ...(description === undefined ? {} : { description }) })
const nullableText = (max: number) => Type.Unsafe<string | null>({ type: ['string', 'null'], maxLength: max })
const moment = Type.String({ format: 'date-time' })
const nullableMoment = Type.Unsafe<string | null>({ type: ['string', 'null'] })
const nullableString = Type.Unsafe<string | null>({ type: ['string', 'null'] })
const answer = <P extends TProperties>(properties: P, description?: string) =>
  Type.Object(properties, description === undefined ? {} : { description })

export const Key = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,63}$' })
export const Uuid = Type.String({
  pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$',
})
export const ExternalId = text(256, 'The user as you call them.')
export const LaneSchema = oneOf(LANES)

export const ProblemSchema = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ description: 'Stable; branch on this.' }),
    detail: Type.String(),
    field: Type.Optional(Type.String()),
    correlationId: Type.Optional(Type.String()),
    errors: Type.Optional(Type.Array(Type.Object({ field: Type.String(), detail: Type.String() }))),
  },
  { description: 'What is wrong (RFC 9457).' },
)

// events
const attribute = (description: string) => Type.String({ minLength: 1, maxLength: 512, description })
const cloudEvent = {
  specversion: Type.Literal('1.0'),
  id: attribute('With source, the identity: the same event sent again rings once.'),
  source: attribute('Who says so.'),
  type: attribute('What happened.'),
  time: Type.Optional(attribute('RFC 3339.')),
  subject: Type.Optional(attribute('About what.')),
  datacontenttype: Type.Optional(Type.String({ maxLength: 256 })),
  lane: Type.Optional(LaneSchema),
  traceparent: Type.Optional(Type.String({ maxLength: 64 })),
  data: Type.Optional(Type.Unknown()),
  data_base64: Type.Optional(Type.String()),
}
const RIDE = {
  specversion: '1.0',
  id: 'ride-7-accepted',
  source: '/services/rides',
  type: 'rides.ride.accepted.v1',
  data: { rideId: 'ride-7', customerId: 'ada', driver: 'Mira', minutes: 4 },
}
/** Extensions are further lower-case attributes. */
export const CloudEventSchema = Type.Object(cloudEvent, {
  description: 'CloudEvents 1.0, structured.',
  examples: [RIDE],
})
export const CloudEventBatchSchema = Type.Array(Type.Object(cloudEvent), {
  minItems: 1,
  maxItems: 1000,
  description: 'CloudEvents 1.0, batch: all of them or none.',
  examples: [[RIDE, { ...RIDE, id: 'ride-8-accepted' }]],
})
export const PlainEventSchema = Type.Object(
  {
    type: attribute('What happened.'),
    data: Type.Optional(Type.Unknown()),
    id: Type.Optional(attribute('Filled in when absent.')),
    source: Type.Optional(attribute('Filled in when absent.')),
    subject: Type.Optional(attribute('About what.')),
    time: Type.Optional(attribute('RFC 3339; now when absent.')),
    lane: Type.Optional(LaneSchema),
  },
  {
    ...strict,
    description: 'Plain JSON; or, with `ce-*` headers, the data of a CloudEvent in binary mode.',
    examples: [{ type: 'rides.ride.accepted.v1', data: { customerId: 'ada', driver: 'Mira', minutes: 4 } }],
  },
)
const eventName = { id: Type.String(), source: Type.String(), type: Type.String() }
export const AcceptedSchema = answer(
  {
    id: Type.Optional(Type.String()),
    source: Type.Optional(Type.String()),
    type: Type.Optional(Type.String()),
    events: Type.Optional(Type.Array(Type.Object(eventName))),
  },
  'Stored. A batch gives `events`, in its order.',
)

// triggers and direct notifications
const Whom = [...RecipientSchema.anyOf, ...AudienceSchema.anyOf] as const
const Selection = Type.Union([...Whom, Type.Array(Type.Union([...Whom]), { minItems: 1, maxItems: 1000 })])
export const TriggerSchema = Type.Object(
  {
    to: Selection,
    data: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), { description: '`data` of the workflow.' }),
    ),
    actor: Type.Optional(text(256, 'Who caused it, as you call them.')),
    excludeActor: Type.Optional(Type.Boolean({ description: 'Who caused it is not told.' })),
  },
  {
    ...strict,
    description:
      'Begins one workflow for these recipients; `id` with further fields identifies them on the way.',
    examples: [{ to: { id: 'ada', email: 'ada@example.com' }, data: { name: 'Ada' } }],
  },
)
export const NotificationSchema = Type.Object(
  {
    to: Selection,
    title: Type.Optional(text(500)),
    body: Type.Optional(text(20_000)),
    subject: Type.Optional(text(500, 'Of a mail; else the title.')),
    html: Type.Optional(text(100_000, 'Of a mail.')),
    url: Type.Optional(text(2000, 'Where a click leads.')),
    imageUrl: Type.Optional(text(2000)),
    channels: Type.Optional(
      Type.Array(oneOf(['inbox', 'push', 'email']), {
        minItems: 1,
        maxItems: 3,
        uniqueItems: true,
        description: 'inbox unless said.',
      }),
    ),
    category: Type.Optional(Key),
    lane: Type.Optional(LaneSchema),
    expires: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,8}(ms|s|m|h|d)$' })),
    data: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), { description: 'What an app gets along.' }),
    ),
  },
  {
    ...strict,
    description: 'Sends without a workflow. Texts are taken as they are.',
    examples: [{ to: ['ada'], title: 'Hello', body: 'The bells work.', channels: ['inbox', 'push'] }],
  },
)

// people
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
  },
  { ...strict, examples: [{}] },
)
export const TokenAnswer = answer({ token: Type.String(), expiresAt: moment })

// rules
export const WORKFLOW_EXAMPLE = {
  key: 'ride-accepted',
  on: 'rides.ride.accepted.v1',
  to: 'data.customerId',
  content: { title: '{{ data.driver }} is on the way', body: '{{ data.minutes }} min' },
  steps: ['inbox', { wait: '20s' }, 'push'],
}
export const PublishedAnswer = answer({
  key: Type.String(),
  version: Type.Integer(),
  changed: Type.Boolean(),
})
export const VersionAnswer = answer({
  key: Type.String(),
  version: Type.Integer(),
  status: Type.String(),
  kind: Type.Optional(Type.String()),
  createdAt: moment,
  definition: Type.Optional(Type.Unknown()),
  locales: Type.Optional(Type.Unknown()),
})
const VERSION_STATES = ['draft', 'shadow', 'published'] as const
export const WorkflowVersionName = Type.String({
  pattern: '^([1-9][0-9]{0,8}|draft|shadow|published)$',
  description: 'A number, or draft, shadow or published.',
})
/** By number, or by what it is now. */
export function wantedVersion(
  name: string | undefined,
): number | (typeof VERSION_STATES)[number] | undefined {
  return name === undefined ? undefined : (VERSION_STATES.find((state) => state === name) ?? Number(name))
}
const expect = Type.Optional(
  Type.String({
    pattern: '^[0-9]{1,9}$',
    description: 'Version that is published, 0 for none: when another one is, nothing is done (409).',
  }),
)
export const ExpectQuery = Type.Object({ expect }, strict)
export const WorkflowsQuery = Type.Object(
  { status: Type.Optional(oneOf(VERSION_STATES, 'published unless said.')) },
  strict,
)
export const PutWorkflowQuery = Type.Object(
  { as: Type.Optional(oneOf(['published', 'draft', 'shadow'], 'published unless said.')), expect },
  strict,
)
export function expectedOf(query: { expect?: string }): number | undefined {
  return query.expect === undefined ? undefined : Number(query.expect)
}
export const WorkflowChangeAnswer = answer({
  key: Type.String(),
  version: Type.Integer(),
  changed: Type.Boolean(),
  previous: Type.Unsafe<number | null>({
    type: ['integer', 'null'],
    description: 'Version that was in force before.',
  }),
})
export const WorkflowVersionAnswer = answer({
  key: Type.String(),
  version: Type.Integer(),
  status: Type.String(),
  createdAt: moment,
  publications: Type.Array(Type.Object({ from: moment, to: nullableMoment }), {
    description: 'When it was in force, oldest first; `to` is null while it is.',
  }),
})
const localised = <S extends TSchema>(document: S) =>
  Type.Record(Type.String({ pattern: '^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$' }), document, {
    ...strict,
    minProperties: 1,
    maxProperties: 200,
  })
const draft = Type.Optional(Type.Boolean({ description: 'Kept, and not in force until it is published.' }))
export const TemplateSchema = Type.Union(
  [
    Type.Object(
      { kind: Type.Optional(Type.Literal('content')), locales: localised(ContentSchema), draft },
      strict,
    ),
    Type.Object({ kind: Type.Literal('partial'), locales: localised(PartialSchema), draft }, strict),
    Type.Object({ kind: Type.Literal('layout'), locales: localised(LayoutSchema), draft }, strict),
  ],
  {
    description:
      'Texts by locale; de-AT falls back to de, then to the tenant’s, then to default. Partials and layouts have a default.',
    examples: [
      { locales: { en: { title: 'Welcome, {{ user.name }}', body: 'Good to see you.' } } },
      { kind: 'partial', locales: { default: { text: '{{ driver.name }}, {{ driver.car }}' } } },
      { kind: 'layout', locales: { default: { html: '<main>{{ content }}</main>' } } },
    ],
  },
)
export const PublishSchema = Type.Object(
  { version: Type.Integer({ minimum: 1, maximum: 999_999_999 }) },
  { ...strict, examples: [{ version: 1 }] },
)
export const VersionStatus = oneOf(['published', 'draft', 'retired'], 'published unless said.')
export const VersionQuery = Type.Object(
  { version: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,8}$' })) },
  strict,
)

export function versionOf(query: { version?: string }): number | undefined {
  return query.version === undefined ? undefined : Number(query.version)
}
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

// what people see
export const InboxItemAnswer = answer({
  id: Type.String(),
  workflow: Type.String(),
  category: nullableString,
  title: Type.String(),
  body: Type.String(),
  url: nullableString,
  data: Type.Unknown(),
  lane: Type.String(),
  createdAt: moment,
  seenAt: nullableMoment,
  readAt: nullableMoment,
  archivedAt: nullableMoment,
})
export const PositionAnswer = Type.Unsafe<{ epoch: string; offset: number } | null>({
  type: ['object', 'null'],
  properties: { epoch: { type: 'string' }, offset: { type: 'integer' } },
  description: 'Place in the realtime stream, taken before the rows: subscribe from here.',
})
export const ReceiptsSchema = Type.Object(
  {
    receipts: Type.Array(
      Type.Object(
        {
          token: Type.Optional(text(256, 'The receipt token that came with the message.')),
          notificationId: Type.Optional(Uuid),
          deliveryId: Type.Optional(Uuid),
          status: oneOf([
            'delivered',
            'opened',
            'clicked',
            'dismissed',
          ] satisfies (typeof RECEIPT_STATUSES)[number][]),
          at: Type.Optional(moment),
        },
        strict,
      ),
      { minItems: 1, maxItems: 500 },
    ),
  },
  {
    ...strict,
    description:
      'A device sends tokens; a server with the scope receipts:write names notification and delivery.',
  },
)
export const ReceiptsAnswer = answer({
  accepted: Type.Integer(),
  rejected: Type.Array(Type.Object({ index: Type.Integer(), code: Type.String(), detail: Type.String() })),
})

/** `limit` of a page: text, since nothing is coerced. */
export const LimitText = Type.String({
  pattern: '^([1-9][0-9]?|1[0-9]{2}|200)$',
  description: '1 to 200; 50 unless said.',
})

export function limitOf(value: string | undefined): number {
  return value === undefined ? 50 : Number(value)
}
