import { Type } from 'typebox'
import { CHANNEL_OPTIONS } from './channel-options.js'
import { strict } from './shapes.js'

const { app, silent, dataOnly, priority, ttl, badge } = CHANNEL_OPTIONS.push.properties
const { interruption, relevanceScore, unlessOnline, unlessSeen, clearWhenSeen } =
  CHANNEL_OPTIONS.push.properties
const plain = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 256, description }))

/** Texts of a direct push: taken as they are, neither Liquid nor CEL. */
const texts = {
  collapseKey: plain('It takes the place of an older push with the same key.'),
  sound: plain('A sound of the app, or default.'),
  channelId: plain('Notification channel of Android, category of iOS.'),
  threadId: plain('What iOS groups it by.'),
  analyticsLabel: plain("Label in FCM's reports."),
}

/** How the push of a notification without a workflow is sent. */
export const DirectPushSchema = Type.Object(
  {
    ...{ app, silent, dataOnly, priority, ttl, badge },
    ...{ interruption, relevanceScore, unlessOnline, unlessSeen, clearWhenSeen },
    ...texts,
  },
  { ...strict, description: 'How its push is sent.' },
)
