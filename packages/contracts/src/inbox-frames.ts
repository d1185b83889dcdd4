import { inboxItem, inboxMarks, type StoredMarks, type StoredNotification } from './inbox-item.js'
import type { Frame } from './messages.js'
import { frameSubject } from './subjects.js'

/** Whose inbox it is; `userId` is the row's id. */
export interface InboxOwner {
  readonly tenant: string
  readonly userId: string
}

/** A frame as LIVE stores it. The message id is the same on every pass, so that a second one is dropped. */
export interface FrameMessage {
  subject: string
  messageId: string
  body: string
}

/** A notification appears. */
export function createdFrame(whose: InboxOwner, stored: StoredNotification): FrameMessage {
  const frame: Frame = { type: 'notification.created', id: stored.id, notification: inboxItem(stored) }
  return messageOf(whose, frame, `${stored.id}.created`)
}

/** Its marks changed. */
export function marksFrame(whose: InboxOwner, stored: StoredMarks): FrameMessage {
  const frame: Frame = { type: 'notification.updated', id: stored.id, changes: inboxMarks(stored) }
  return messageOf(whose, frame, `${stored.id}.${stored.revision}`)
}

/** It is back in the inbox. Carries all of it, for who doesn't hold what was put away. */
export function returnedFrame(whose: InboxOwner, stored: StoredNotification): FrameMessage {
  const frame: Frame = { type: 'notification.updated', id: stored.id, changes: inboxItem(stored) }
  return messageOf(whose, frame, `${stored.id}.${stored.revision}`)
}

/** It is gone for good. */
export function removedFrame(whose: InboxOwner, id: string): FrameMessage {
  return messageOf(whose, { type: 'notification.removed', id }, `${id}.removed`)
}

function messageOf(whose: InboxOwner, frame: Frame, messageId: string): FrameMessage {
  return {
    subject: frameSubject(whose.tenant, 'user', whose.userId),
    messageId,
    body: JSON.stringify(frame),
  }
}
