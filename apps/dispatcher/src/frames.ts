import { createdFrame as createdFrameOf, type StoredNotification } from '@carillon/contracts'
import type { OutgoingMessage } from '@carillon/jetstream'
import type { StoredRun } from '@carillon/postgres'

/** The frame that makes a notification appear. Undefined for runs that no inbox shows, or that somebody removed. */
export function createdFrame(run: StoredRun): OutgoingMessage | undefined {
  if (!run.inInbox || run.removedAt !== null || run.userId === null) return undefined
  return createdFrameOf({ tenant: run.tenant, userId: run.userId }, notificationOf(run))
}

function notificationOf(run: StoredRun): StoredNotification {
  return {
    ...run,
    workflow: run.workflowKey,
    content: run.content?.inbox,
    createdAt: new Date(run.createdAtMs),
  }
}
