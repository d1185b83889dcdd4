import { type Static, Type } from 'typebox'
import { LANES } from './words.js'

/** Durations are a number and a unit: ms, s, m, h, d. */
export const DURATION_PATTERN = '^[1-9][0-9]{0,8}(ms|s|m|h|d)$'

const duration = (description: string) => Type.String({ pattern: DURATION_PATTERN, description })
const key = Type.String({
  pattern: '^[a-z0-9][a-z0-9-]{0,63}$',
  description: 'Lower-case letters, digits, dashes.',
})
const cel = (description: string) => Type.String({ minLength: 1, maxLength: 2000, description })
const liquid = (description: string) => Type.String({ maxLength: 20_000, description })

/** Texts of one locale. Liquid templates over `data`, `user`, `event`. */
export const ContentSchema = Type.Object(
  {
    title: Type.Optional(liquid('Title; also the subject of a mail unless `subject` is given.')),
    body: Type.Optional(liquid('Plain text body.')),
    subject: Type.Optional(liquid('Subject of a mail.')),
    html: Type.Optional(liquid('HTML body of a mail.')),
    url: Type.Optional(liquid('Where a click leads.')),
    imageUrl: Type.Optional(liquid('Picture shown with it.')),
  },
  { additionalProperties: false },
)
export type Content = Static<typeof ContentSchema>

const channelOptions = Type.Object(
  {
    if: Type.Optional(cel('CEL condition for this step alone.')),
    template: Type.Optional(key),
    content: Type.Optional(ContentSchema),
    app: Type.Optional(Type.String({ maxLength: 64, description: 'Push: only devices of this app (role).' })),
    url: Type.Optional(Type.String({ format: 'uri', description: 'Webhook: where to post.' })),
    maxAttempts: Type.Optional(Type.Integer({ minimum: 1, maximum: 10 })),
  },
  { additionalProperties: false },
)

/** One step: a bare channel name, or an object with exactly one key. */
export const StepSchema = Type.Union([
  Type.Union([Type.Literal('inbox'), Type.Literal('push'), Type.Literal('email'), Type.Literal('webhook')]),
  Type.Object({ inbox: channelOptions }, { additionalProperties: false }),
  Type.Object({ push: channelOptions }, { additionalProperties: false }),
  Type.Object({ email: channelOptions }, { additionalProperties: false }),
  Type.Object({ webhook: channelOptions }, { additionalProperties: false }),
  Type.Object(
    { wait: duration('How long to wait before the next step; at most 365d.') },
    { additionalProperties: false },
  ),
])
export type Step = Static<typeof StepSchema>

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
    { additionalProperties: false },
  ),
])
export type RecipientInput = Static<typeof RecipientSchema>

/** A workflow as it is written: YAML or JSON. Everything is CEL, except texts, which are Liquid. */
export const WorkflowSchema = Type.Object(
  {
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
        cel('CEL that gives a user id, a recipient object, or a list of them.'),
        Type.Object({ role: Type.String({ minLength: 1, maxLength: 64 }) }, { additionalProperties: false }),
        Type.Object(
          { topic: Type.String({ minLength: 1, maxLength: 128 }) },
          { additionalProperties: false },
        ),
      ],
      { description: 'Who hears of it.' },
    ),
    category: Type.Optional(key),
    lane: Type.Optional(Type.Union(LANES.map((lane) => Type.Literal(lane)))),
    expires: Type.Optional(duration('After this nothing is sent any more.')),
    collapse: Type.Optional(cel('CEL that gives the collapse key.')),
    cap: Type.Optional(
      Type.Object(
        { count: Type.Integer({ minimum: 1, maximum: 10_000 }), per: duration('Window of the cap.') },
        {
          additionalProperties: false,
          description: 'Most notifications of this workflow per user and window.',
        },
      ),
    ),
    stop: Type.Optional(Type.Literal('seen', { description: 'Seen anywhere ends the run.' })),
    content: Type.Optional(ContentSchema),
    locales: Type.Optional(
      Type.Record(Type.String(), ContentSchema, {
        description: 'Texts by locale; de-AT falls back to de, then to content.',
      }),
    ),
    steps: Type.Array(StepSchema, { minItems: 1, maxItems: 50 }),
  },
  { additionalProperties: false, $id: 'https://carillon.dev/schemas/workflow.json' },
)
export type WorkflowDefinition = Static<typeof WorkflowSchema>

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of a duration like `20s`, or undefined when it isn't one. */
export function durationMs(text: string): number | undefined {
  const match = /^([1-9][0-9]{0,8})(ms|s|m|h|d)$/.exec(text)
  return match === null ? undefined : Number(match[1]) * (UNIT_MS[match[2] as string] as number)
}
