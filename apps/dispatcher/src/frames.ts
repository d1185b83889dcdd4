import { type Frame, frameSubject, type InboxItem, shownContent } from '@carillon/contracts'
import type { OutgoingMessage } from '@carillon/jetstream'
import type { StoredRun } from '@carillon/postgres'

/** A stored run as its recipient's inbox shows it. */
export function inboxItem(run: StoredRun): InboxItem {
  return {
    id: run.id,
    workflow: run.workflowKey,
    category: run.category,
    ...shownContent(run.content?.inbox),
    lane: run.lane,
    createdAt: new Date(run.createdAtMs).toISOString(),
    seenAt: run.seenAt?.toISOString() ?? null,
    readAt: run.readAt?.toISOString() ?? null,
    archivedAt: run.archivedAt?.toISOString() ?? null,
    snoozedUntil: null,
  }
}

/** Message id of the frame that shows a run: the same on every pass, so that a second one is dropped. */
export function createdMessageId(run: { id: string }): string {
  return `${run.id}.created`
}

/** The frame that makes a notification appear, as LIVE stores it. Undefined for runs that no inbox shows. */
export function createdFrame(run: StoredRun): OutgoingMessage | undefined {
  if (!run.inInbox || run.userId === null) return undefined
  const frame: Frame = { type: 'notification.created', id: run.id, notification: inboxItem(run) }
  const messageId = createdMessageId(run)
  return {
    subject: frameSubject(run.tenant, 'user', run.userId),
    body: JSON.stringify(frame),
    messageId,
  }
}
