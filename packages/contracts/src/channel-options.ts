import { type Static, Type } from 'typebox'
import { ContentSchema } from './content.js'
import { DURATION_OR_ZERO_PATTERN } from './durations.js'
import { cel, duration, key, strict } from './shapes.js'

/** What a channel step may say beside its texts, as it is written in a workflow file and as a run keeps it. */

const liquid = (description: string) => Type.String({ minLength: 1, maxLength: 2000, description })
const json = (description: string) =>
  Type.Record(Type.String(), Type.Unknown(), { maxProperties: 50, description })
const oneOf = <V extends string>(values: readonly V[], description: string) =>
  Type.Union(
    values.map((value) => Type.Literal(value)),
    { description },
  )
const overrides = (...providers: readonly string[]) => {
  const each = providers.map((provider) => [
    provider,
    Type.Optional(json(`Merged last into what ${provider} is asked.`)),
  ])
  const description = 'JSON with Liquid in its texts, by provider.'
  return Type.Optional(Type.Object(Object.fromEntries(each), { ...strict, description }))
}

const PRIORITIES = ['high', 'normal'] as const
const INTERRUPTIONS = ['passive', 'active', 'time-sensitive', 'critical'] as const
const LIVE_ACTIVITY_EVENTS = ['start', 'update', 'end'] as const

/** A Live Activity of iOS. */
const LiveActivitySchema = Type.Object(
  {
    id: liquid('Liquid; names the activity among those of the device.'),
    event: oneOf(LIVE_ACTIVITY_EVENTS, 'What becomes of it.'),
    contentState: json('What it shows: JSON with Liquid in its texts.'),
    attributesType: Type.Optional(
      Type.String({ minLength: 1, maxLength: 128, description: "start: the name of the app's type." }),
    ),
    attributes: Type.Optional(json("start: the type's values; JSON with Liquid in its texts.")),
    staleAfter: Type.Optional(duration('The phone marks it as out of date after that.')),
    dismissAfter: Type.Optional(duration('end: it leaves the screen after that.')),
  },
  { ...strict, description: 'A Live Activity of iOS; other devices get the words alone.' },
)

const common = {
  if: Type.Optional(cel('CEL condition for this step alone.')),
  template: Type.Optional(key),
  content: Type.Optional(ContentSchema),
  maxAttempts: Type.Optional(Type.Integer({ minimum: 1, maximum: 10 })),
}

const unlessOnline = Type.Optional(
  Type.Boolean({
    description: 'Skipped when the person holds a realtime connection at that moment. Default: false.',
  }),
)

const push = {
  ...common,
  app: Type.Optional(Type.String({ maxLength: 64, description: 'Only devices of this app (role).' })),
  silent: Type.Optional(
    Type.Boolean({ description: 'Wakes the app with `data` and shows nothing. Browsers have no such push.' }),
  ),
  dataOnly: Type.Optional(Type.Boolean({ description: 'Android: the app draws it from the data itself.' })),
  priority: Type.Optional(oneOf(PRIORITIES, 'Default: normal in the lane bulk, else high.')),
  ttl: Type.Optional(
    Type.String({
      pattern: DURATION_OR_ZERO_PATTERN,
      description: 'How long a provider keeps it for a device that is offline; 0s: now or never.',
    }),
  ),
  collapseKey: Type.Optional(cel("CEL; for this step in place of the workflow's `collapse`.")),
  badge: Type.Optional(
    Type.Union(
      [Type.Literal('unread'), Type.Literal('none'), Type.Integer({ minimum: 0, maximum: 99_999 })],
      { description: 'Number on the icon of the app. Default: unread.' },
    ),
  ),
  sound: Type.Optional(liquid('Liquid; a sound of the app, or default.')),
  channelId: Type.Optional(liquid('Liquid; notification channel of Android, category of iOS.')),
  threadId: Type.Optional(liquid('Liquid; what iOS groups it by.')),
  interruption: Type.Optional(oneOf(INTERRUPTIONS, 'How loud it may be.')),
  relevanceScore: Type.Optional(
    Type.Number({ minimum: 0, description: "0 to 1: what stands out in iOS' summary." }),
  ),
  analyticsLabel: Type.Optional(liquid("Liquid; label in FCM's reports.")),
  unlessOnline,
  unlessSeen: Type.Optional(
    Type.Boolean({ description: 'Withdrawn while it waits once it was seen anywhere. Default: true.' }),
  ),
  clearWhenSeen: Type.Optional(
    Type.Boolean({ description: 'Taken off the screen once it was seen elsewhere. Default: true.' }),
  ),
  liveActivity: Type.Optional(LiveActivitySchema),
  overrides: overrides('fcm', 'apns', 'webpush'),
}

const email = {
  ...common,
  unlessOnline,
  replyTo: Type.Optional(liquid('Liquid; where answers go, in place of that of the content.')),
  overrides: overrides('smtp'),
}

const webhook = {
  ...common,
  url: Type.Optional(Type.String({ format: 'uri', description: 'Where to post.' })),
  overrides: overrides('webhook'),
}

/** The options of each channel's step. */
export const CHANNEL_OPTIONS = {
  inbox: Type.Object(common, strict),
  push: Type.Object(push, strict),
  email: Type.Object(email, strict),
  sms: Type.Object({ ...common, unlessOnline, overrides: overrides('sms') }, strict),
  webhook: Type.Object(webhook, strict),
} as const

type Written<C extends keyof typeof CHANNEL_OPTIONS> = Omit<Static<(typeof CHANNEL_OPTIONS)[C]>, 'overrides'>

/** All that a channel step may say; which channel knows what, the schema tells. */
export interface ChannelOptions
  extends Written<'inbox'>,
    Written<'push'>,
    Written<'email'>,
    Written<'webhook'> {
  overrides?: Record<string, Record<string, unknown>>
}

/** A Live Activity as a run keeps it: moments in milliseconds. */
export interface SaidLiveActivity {
  id: string
  event: (typeof LIVE_ACTIVITY_EVENTS)[number]
  contentState: Record<string, unknown>
  attributesType?: string
  attributes?: Record<string, unknown>
  /** When this state was true. */
  at: number
  staleAt?: number
  dismissAt?: number
}

/** What a step says of how it is sent, rendered: `content[step].options` of a run. Only what was given. */
export interface SaidOptions {
  silent?: boolean
  dataOnly?: boolean
  priority?: (typeof PRIORITIES)[number]
  /** 0: now or never. */
  ttlSeconds?: number
  collapseKey?: string
  badge?: 'unread' | 'none' | number
  sound?: string
  channelId?: string
  threadId?: string
  interruption?: (typeof INTERRUPTIONS)[number]
  relevanceScore?: number
  analyticsLabel?: string
  unlessSeen?: boolean
  clearWhenSeen?: boolean
  liveActivity?: SaidLiveActivity
  replyTo?: string
  overrides?: Record<string, Record<string, unknown>>
}
