import { type Channel, type DeliveryStatus, type Frame, frameSubject } from '@carillon/contracts'
import type { OutgoingMessage } from '@carillon/jetstream'

/** Tells a person's browsers that a delivery moved on. */
export function deliveryFrame(delivery: {
  runId: string
  id: string
  tenant: string
  userId: string
  channel: Channel
  status: DeliveryStatus
}): OutgoingMessage {
  const frame: Frame = {
    type: 'delivery.updated',
    id: delivery.runId,
    deliveryId: delivery.id,
    channel: delivery.channel,
    status: delivery.status,
  }
  return {
    subject: frameSubject(delivery.tenant, 'user', delivery.userId),
    body: JSON.stringify(frame),
    messageId: `${delivery.id}.${delivery.status}`,
  }
}

/** Tells a person's browsers that a notification was seen or read on a device. */
export function engagementFrame(run: {
  id: string
  tenant: string
  userId: string
  seenAt: Date | null
  readAt: Date | null
}): OutgoingMessage {
  const seenAt = run.seenAt?.toISOString() ?? null
  const readAt = run.readAt?.toISOString() ?? null
  const frame: Frame = { type: 'notification.updated', id: run.id, changes: { seenAt, readAt } }
  return {
    subject: frameSubject(run.tenant, 'user', run.userId),
    body: JSON.stringify(frame),
    messageId: `${run.id}.${readAt === null ? 'seen' : 'read'}`,
  }
}
