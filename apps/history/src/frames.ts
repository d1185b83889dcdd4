import {
  type Channel,
  type DeliveryStatus,
  type Frame,
  type FrameMessage,
  frameSubject,
  marksFrame,
} from '@carillon/contracts'
import type { EngagedRun } from '@carillon/postgres'

/** Tells a person's browsers that a delivery moved on. */
export function deliveryFrame(delivery: {
  runId: string
  id: string
  tenant: string
  userId: string
  channel: Channel
  status: DeliveryStatus
}): FrameMessage {
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
export function engagementFrame(run: EngagedRun): FrameMessage {
  return marksFrame(run, run)
}
