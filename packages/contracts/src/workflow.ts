import { type Static, Type } from 'typebox'
import { ContentSchema } from './content.js'
import { cel, duration, key, strict } from './shapes.js'
import { LANES } from './words.js'
import { type Step, StepSchema } from './workflow-steps.js'

/** A recipient named by a workflow or by a trigger; inline fields identify the user on the way. */
export const RecipientSchema = Type.Union([
  Type.String({ minLength: 1, maxLength: 256 }),
  Type.Object(
    {
      id: Type.String({ minLength: 1, maxLength: 256 }),
      email: Type.Optional(Type.String({ maxLength: 320 })),
      phone: Type.Optional(Type.String({ maxLength: 32 })),
      name: Type.Optional(Type.String({ maxLength: 256 })),
      locale: Type.Optional(Type.String({ maxLength: 35 })),
      timezone: Type.Optional(Type.String({ maxLength: 64 })),
      roles: Type.Optional(Type.Array(Type.String({ maxLength: 64 }), { maxItems: 50 })),
    },
    strict,
  ),
])
export type RecipientInput = Static<typeof RecipientSchema>

/** Dot-separated parts, from the whole to its part: `city.vienna` belongs to `city`. */
export const TOPIC_PATTERN = '^[A-Za-z0-9_-]{1,64}(\\.[A-Za-z0-9_-]{1,64}){0,7}$'

/** A group of people that is looked up in the directory. */
export const AudienceSchema = Type.Union([
  Type.Object({ role: Type.String({ minLength: 1, maxLength: 64 }) }, strict),
  Type.Object(
    { topic: Type.String({ pattern: TOPIC_PATTERN, description: 'Parts with dots: city.vienna.' }) },
    strict,
  ),
  Type.Object({ segment: cel('CEL over user: user.attributes.plan == "pro".') }, strict),
  Type.Object({ everyone: Type.Literal(true) }, strict),
])
export type Audience = Static<typeof AudienceSchema>

/** At most so many of something per person and window. */
export const CapSchema = Type.Object(
  { count: Type.Integer({ minimum: 1, maximum: 10_000 }), per: duration('Window of the cap.') },
  strict,
)
export type Cap = Static<typeof CapSchema>

const fields = {
  key,
  name: Type.Optional(Type.String({ maxLength: 200 })),
  on: Type.Union(
    [Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })],
    {
      description: 'Event types; a trailing `.*` matches any further parts.',
    },
  ),
  if: Type.Optional(cel('CEL over data, event; false means NO_MATCH.')),
  to: Type.Union(
    [
      cel(
        'CEL that gives a user id, a recipient object, a group like {"topic": "city." + data.city}, or a list of them.',
      ),
      AudienceSchema,
    ],
    { description: 'Who hears of it.' },
  ),
  exclude: Type.Optional(cel('CEL that gives ids of users who are not told, like who did it.')),
  category: Type.Optional(key),
  lane: Type.Optional(Type.Union(LANES.map((lane) => Type.Literal(lane)))),
  expires: Type.Optional(duration('After this nothing is sent any more.')),
  collapse: Type.Optional(cel('CEL that gives the collapse key.')),
  cancelKey: Type.Optional(cel('CEL that gives the key by which runs can be cancelled.')),
  cap: Type.Optional(
    Type.Object(CapSchema.properties, {
      ...strict,
      description: 'Most notifications of this workflow per user and window.',
    }),
  ),
  stop: Type.Optional(Type.Literal('seen', { description: 'Seen anywhere ends the run.' })),
  content: Type.Optional(ContentSchema),
  locales: Type.Optional(
    Type.Record(Type.String(), ContentSchema, {
      description: 'Texts by locale; de-AT falls back to de, then to content.',
    }),
  ),
  steps: Type.Array(StepSchema, { minItems: 1, maxItems: 50 }),
}

/** A workflow as it is written: YAML or JSON. Everything is CEL, except texts, which are Liquid. */
export const WorkflowSchema = Type.Object(fields, {
  ...strict,
  $id: 'https://carillon.dev/schemas/workflow.json',
})
export type WorkflowDefinition = Omit<Static<typeof WorkflowSchema>, 'steps'> & { steps: Step[] }

const TOPIC = new RegExp(TOPIC_PATTERN)

/** True for a name that a topic can have. */
export function isTopic(name: string): boolean {
  return TOPIC.test(name)
}
