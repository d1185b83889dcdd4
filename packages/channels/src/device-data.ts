import type { Outgoing } from './message.js'

/**
 * What the app gets beside the words: the caller's data, then ours, which win. `nid` and `did` let it replace a
 * duplicate, `rt` lets it acknowledge.
 */
export function deviceData(outgoing: Outgoing): Record<string, string> {
  const { message } = outgoing
  return {
    ...message.data,
    ...(message.url === undefined ? {} : { url: message.url }),
    ...(message.actions?.length ? { actions: JSON.stringify(message.actions) } : {}),
    nid: outgoing.notificationId,
    did: outgoing.deliveryId,
    rt: outgoing.receiptToken,
  }
}
