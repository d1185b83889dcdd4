import {
  ActionSchema,
  AudienceSchema,
  DirectPushSchema,
  MAX_ACTIONS,
  RecipientSchema,
} from '@carillon/contracts'
import { Type } from 'typebox'
import { answer, Key, LaneSchema, oneOf, strict, text } from './shapes.js'

/** Events, triggers and direct notifications. */

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
    subtitle: Type.Optional(text(500, 'Second line of a push on iPhones.')),
    body: Type.Optional(text(20_000)),
    subject: Type.Optional(text(500, 'Of a mail; else the title.')),
    html: Type.Optional(text(100_000, 'Of a mail.')),
    url: Type.Optional(text(2000, 'Where a click leads.')),
    imageUrl: Type.Optional(text(2000)),
    actions: Type.Optional(
      Type.Array(
        Type.Object(
          {
            id: ActionSchema.properties.id,
            title: text(500),
            url: Type.Optional(text(2000, 'Where it leads.')),
          },
          strict,
        ),
        { maxItems: MAX_ACTIONS, description: 'Buttons.' },
      ),
    ),
    replyTo: Type.Optional(text(320, 'Where answers to a mail go.')),
    channels: Type.Optional(
      Type.Array(oneOf(['inbox', 'push', 'email']), {
        minItems: 1,
        maxItems: 3,
        uniqueItems: true,
        description: 'inbox unless said.',
      }),
    ),
    push: Type.Optional(DirectPushSchema),
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
    examples: [
      {
        to: ['ada'],
        title: 'Hello',
        body: 'The bells work.',
        actions: [{ id: 'thanks', title: 'Thank you' }],
        channels: ['inbox', 'push'],
        push: { ttl: '10m', interruption: 'active' },
      },
    ],
  },
)
