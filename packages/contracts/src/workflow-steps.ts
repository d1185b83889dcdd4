import { type Static, type TSchema, Type } from 'typebox'
import { CHANNEL_OPTIONS, type ChannelOptions } from './channel-options.js'
import { cel, duration, key, strict } from './shapes.js'

/** What a step may say, as it is written in a workflow file. */

export const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const
export type Weekday = (typeof WEEKDAYS)[number]

/** Wall-clock time, 00:00 to 23:59. */
export const CLOCK_PATTERN = '^([01][0-9]|2[0-3]):[0-5][0-9]$'
export const clock = (description: string) => Type.String({ pattern: CLOCK_PATTERN, description })
export const days = Type.Array(Type.Union(WEEKDAYS.map((day) => Type.Literal(day))), {
  minItems: 1,
  maxItems: 7,
  description: 'Days of the week; every day when left out.',
})

export const WaitSchema = Type.Union(
  [
    duration('How long to wait before the next step; at most 365d.'),
    Type.Object({ for: duration('How long to wait; at most 365d.') }, strict),
    Type.Object(
      { until: cel('CEL that gives a timestamp, RFC 3339 text or milliseconds; at most 365d ahead.') },
      strict,
    ),
    Type.Object(
      {
        at: clock("To the next time that the recipient's clock shows this."),
        days: Type.Optional(days),
      },
      strict,
    ),
    Type.Object(
      {
        event: Type.String({ minLength: 1, maxLength: 200, description: 'Type of the event to wait for.' }),
        key: Type.Optional(
          cel('CEL over the event that began the run; only an event with the same key counts.'),
        ),
        eventKey: Type.Optional(
          cel('CEL over the awaited event that gives its key; default: the same as `key`.'),
        ),
        for: duration('How long at most; at most 365d.'),
      },
      strict,
    ),
    Type.Object({ seen: Type.Literal(true), for: duration('How long at most; at most 365d.') }, strict),
  ],
  { description: 'A time, a local time, until an event came, or until it was seen.' },
)
export type WaitOptions = Static<typeof WaitSchema>

const digestLimits = {
  key: Type.Optional(cel('CEL; what has the same key goes into the same digest. Default: all together.')),
  maxItems: Type.Optional(
    Type.Integer({ minimum: 2, maximum: 1000, description: 'Closes the digest early. Default: 100.' }),
  ),
  flushFirst: Type.Optional(
    Type.Boolean({ description: 'The first one goes on at once and opens the window for the others.' }),
  ),
}
export const DigestSchema = Type.Union(
  [
    Type.Object({ window: duration('Closes so long after its first item.'), ...digestLimits }, strict),
    Type.Object(
      {
        sliding: duration('Closes when nothing came for so long …'),
        atMost: duration('… and at the latest so long after its first item.'),
        ...digestLimits,
      },
      strict,
    ),
    Type.Object(
      {
        at: clock("Closes when the recipient's clock shows this."),
        days: Type.Optional(days),
        ...digestLimits,
      },
      strict,
    ),
  ],
  { description: 'Gathers what comes within a window; the steps after it see all of it as `digest`.' },
)
export type DigestOptions = Static<typeof DigestSchema>

export const ThrottleSchema = Type.Object(
  {
    count: Type.Integer({ minimum: 1, maximum: 10_000 }),
    per: duration('Length of the window; at most 365d.'),
    key: Type.Optional(cel('CEL; counted by key. Default: all together.')),
  },
  { ...strict, description: 'More than this per person and window end here.' },
)
export type ThrottleOptions = Static<typeof ThrottleSchema>

export const CancelSchema = Type.Object(
  { workflow: key, key: cel('CEL that gives the `cancelKey` of the runs to cancel.') },
  { ...strict, description: 'Cancels the runs of a workflow that have this key, for everybody.' },
)
export type CancelOptions = Static<typeof CancelSchema>

const CHANNEL_STEPS = ['inbox', 'push', 'email', 'sms', 'webhook'] as const
const named = <N extends string>(name: N, schema: TSchema) => Type.Object({ [name]: schema }, strict)
const nested = Type.Array(Type.Ref('Step'), { minItems: 1, maxItems: 50 })

/** One step: a bare channel name, or an object with exactly one key. Branches and cohorts hold steps of their own. */
export const StepSchema = Type.Cyclic(
  {
    Step: Type.Union([
      Type.Union(CHANNEL_STEPS.map((channel) => Type.Literal(channel))),
      ...CHANNEL_STEPS.map((channel) => named(channel, CHANNEL_OPTIONS[channel])),
      named('wait', WaitSchema),
      named('digest', DigestSchema),
      named('throttle', ThrottleSchema),
      named(
        'branch',
        Type.Object(
          {
            if: cel('CEL over data, event, user and run.'),
            then: nested,
            else: Type.Optional(nested),
          },
          strict,
        ),
      ),
      named(
        'experiment',
        Type.Object(
          {
            key: Type.Optional(key),
            cohorts: Type.Array(
              Type.Object(
                {
                  name: key,
                  share: Type.Integer({ minimum: 1, maximum: 100, description: 'Per cent of all people.' }),
                  steps: Type.Optional(nested),
                },
                strict,
              ),
              { minItems: 1, maxItems: 10 },
            ),
          },
          { ...strict, description: 'The same person is always in the same cohort.' },
        ),
      ),
      named('cancel', CancelSchema),
    ]),
  },
  'Step',
)

type ChannelStepName = (typeof CHANNEL_STEPS)[number]
type ChannelStepObject = { [N in ChannelStepName]: { [K in N]: ChannelOptions } }[ChannelStepName]
export interface BranchOptions {
  if: string
  then: Step[]
  else?: Step[]
}
export interface Cohort {
  name: string
  share: number
  steps?: Step[]
}
export interface ExperimentOptions {
  key?: string
  cohorts: Cohort[]
}
export type Step =
  | ChannelStepName
  | ChannelStepObject
  | { wait: WaitOptions }
  | { digest: DigestOptions }
  | { throttle: ThrottleOptions }
  | { branch: BranchOptions }
  | { experiment: ExperimentOptions }
  | { cancel: CancelOptions }
