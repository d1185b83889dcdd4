import {
  type Address,
  bounceLocalPart,
  type Message,
  type Outgoing,
  signReceiptToken,
  signUnsubscribeToken,
} from '@carillon/channels'
import type { ClaimedDelivery } from '@carillon/postgres'
import { messageOf, withUnsubscribeLink } from './message-of.js'

/** A delivery that can't be addressed: nothing is asked of a provider. */
export interface Unaddressable {
  reason: string
}

/** How long a device may acknowledge with the token of its payload. */
const RECEIPT_DAYS = 30

/**
 * The message of one claimed delivery, as the channels take it. Pure but for the token's key.
 * `secrets` sign webhooks.
 */
export function toOutgoing(
  delivery: ClaimedDelivery,
  options: {
    receiptKey: Buffer
    publicUrl: string | undefined
    secrets: readonly string[]
    nowMs: number
  },
): Outgoing | Unaddressable {
  const address = addressOf(delivery, options.secrets)
  if ('reason' in address) return address
  const claims = { tenant: delivery.tenant, notificationId: delivery.runId, deliveryId: delivery.id }
  return {
    deliveryId: delivery.id,
    notificationId: delivery.runId,
    tenant: delivery.tenant,
    attempt: delivery.attempt,
    address,
    message: messageFor(delivery, options),
    // a bounce address holds the time of both ids once
    ...(delivery.channel === 'email' && isOfRun(delivery)
      ? { bounceTo: bounceLocalPart(options.receiptKey, claims) }
      : {}),
    receiptToken: signReceiptToken(options.receiptKey, {
      ...claims,
      expiresAt: options.nowMs + RECEIPT_DAYS * 86_400_000,
    }),
  }
}

function messageFor(
  delivery: ClaimedDelivery,
  options: { receiptKey: Buffer; publicUrl: string | undefined },
): Message {
  if (delivery.purpose === 'clear') return clearing(delivery)
  return delivery.channel === 'email' ? withUnsubscribe(delivery, options) : messageOf(delivery)
}

/** Read elsewhere: off the screen with it, and the icon's number is what is left. */
function clearing(delivery: ClaimedDelivery): Message {
  const { runId, unread, expiresAt } = delivery
  // Android draws under the collapse key, and finds it again only by that
  const { collapseKey: tag = runId } = messageOf(delivery)
  return {
    priority: 'normal',
    silent: true,
    clear: runId,
    ...(tag === runId ? {} : { data: { tag } }),
    // the notification's own: a key of the clearing would cost one of the four that FCM keeps for an offline phone
    collapseKey: runId,
    ...(unread === null ? {} : { badge: unread }),
    ...(expiresAt === null ? {} : { expiresAt: expiresAt.getTime() }),
  }
}

function isOfRun({ id, runId }: ClaimedDelivery): boolean {
  return id.slice(0, 13) === runId.slice(0, 13)
}

function addressOf(delivery: ClaimedDelivery, secrets: readonly string[]): Address | Unaddressable {
  if (delivery.addressKind === 'email') {
    return {
      kind: 'email',
      email: delivery.address,
      ...(delivery.userName === null ? {} : { name: delivery.userName }),
    }
  }
  if (delivery.addressKind === 'phone') return { kind: 'sms', phone: delivery.address }
  if (delivery.addressKind === 'webhook') {
    return {
      kind: 'webhook',
      url: delivery.address,
      secrets: [...secrets],
      ...(delivery.event === null ? {} : { event: delivery.event }),
    }
  }
  const { device } = delivery
  if (device === null || device.status !== 'active') return { reason: 'the device is signed out or gone' }
  const { token, environment, endpoint, p256dh, auth } = device.address
  const { activityToken } = device
  if (device.kind === 'webpush') {
    if (endpoint === undefined || p256dh === undefined || auth === undefined)
      return { reason: 'the subscription is incomplete' }
    return { kind: 'webpush', endpoint, p256dh, auth }
  }
  if (token === undefined) return { reason: 'the device has no token' }
  if (device.kind === 'fcm') {
    return activityToken === null
      ? { kind: 'fcm', token }
      : { kind: 'fcm-live-activity', token, activityToken }
  }
  return {
    ...(activityToken === null
      ? { kind: 'apns', token }
      : { kind: 'apns-live-activity', token: activityToken }),
    ...(environment === 'production' || environment === 'sandbox' ? { environment } : {}),
  }
}

/** Where the account of a text message tells what became of it: our token names the delivery, its signature proves it. */
export function withStatusUrl(
  outgoing: Outgoing,
  to: { publicUrl: string | undefined; account: string },
): Outgoing {
  if (outgoing.address.kind !== 'sms' || to.publicUrl === undefined) return outgoing
  const base = `${to.publicUrl.replace(/\/+$/, '')}/v1/callbacks/twilio/${to.account}`
  const statusUrl = `${base}?token=${outgoing.receiptToken}`
  return { ...outgoing, address: { ...outgoing.address, statusUrl } }
}

/**
 * A mail that can be switched off says how, in its headers and where its texts ask for the link. Where nobody knows the
 * public address there is no link to say: better none than one that leads nowhere.
 */
function withUnsubscribe(
  delivery: ClaimedDelivery,
  { receiptKey, publicUrl }: { receiptKey: Buffer; publicUrl: string | undefined },
): Message {
  const link = publicUrl === undefined ? '' : linkOf(delivery, receiptKey, publicUrl)
  const message = withUnsubscribeLink(messageOf(delivery), link)
  if (link !== '' && !delivery.critical) message.listUnsubscribeUrl = link
  return message
}

function linkOf({ tenant, userId, category }: ClaimedDelivery, key: Buffer, publicUrl: string): string {
  const token = signUnsubscribeToken(key, { tenant, userId, category })
  return `${publicUrl.replace(/\/+$/, '')}/v1/unsubscribe/${token}`
}
