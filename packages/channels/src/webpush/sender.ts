import webpush from 'web-push'
import { createEgressGuard } from '../egress/guard.js'
import type { HttpOutcome } from '../egress/post.js'
import { ChannelError } from '../errors.js'
import { fitPayload } from '../fit.js'
import { createInFlight } from '../in-flight.js'
import { isExpired } from '../lifetime.js'
import { isFor, type Outgoing, type OutgoingTo } from '../message.js'
import { sendEach, wrongAddress } from '../send-each.js'
import type { Sender } from '../sender.js'
import { type ChannelSettings, timeoutsOf } from '../settings.js'
import type { Verdict } from '../verdict.js'
import { isHidden, SILENT_NOT_POSSIBLE } from '../visibility.js'
import { readWebPushCredentials } from './credentials.js'
import { checkEndpoint } from './endpoints.js'
import { webPushMeasured } from './payload.js'
import { createPushServices } from './services.js'
import { createVapidHeaders } from './vapid.js'
import { webPushVerdict } from './verdict.js'

const CONCURRENCY = 200

/** Web Push: web-push signs and encrypts; connections that are kept, to guarded addresses, carry. */
export function openWebPushSender(value: unknown, settings: ChannelSettings): Sender {
  const credentials = readWebPushCredentials(value)
  const timeouts = timeoutsOf(settings)
  const guard = createEgressGuard({ allowPrivate: settings.allowPrivateEgress ?? false })
  const services = createPushServices({ guard, timeouts, ca: settings.ca })
  const vapid = createVapidHeaders(credentials)
  const inFlight = createInFlight()

  /** Undefined when there is nothing to show. */
  const requestFor = (outgoing: OutgoingTo<'webpush'>, nowMs: number) => {
    const { endpoint, p256dh, auth } = outgoing.address
    const url = checkEndpoint(endpoint, guard, settings.webPushHosts ?? [])
    const { payload } = fitPayload(outgoing, webPushMeasured(nowMs))
    if (!payload.visible) return undefined
    const details = encrypted(() =>
      webpush.generateRequestDetails({ endpoint, keys: { p256dh, auth } }, payload.body, {
        TTL: payload.ttlSeconds,
        urgency: payload.urgency,
        ...(payload.topic === undefined ? {} : { topic: payload.topic }),
        headers: { Authorization: vapid(url.origin) },
      }),
    )
    return { url, headers: asText(details.headers), body: details.body }
  }

  const one = async (outgoing: Outgoing, signal: AbortSignal): Promise<Verdict> => {
    if (!isFor(outgoing, 'webpush')) return wrongAddress(outgoing, 'webpush')
    const now = Date.now()
    if (isExpired(outgoing.message, now)) return { kind: 'message', reason: 'EXPIRED' }
    try {
      const request = isHidden(outgoing.message) ? undefined : requestFor(outgoing, now)
      if (!request) return { kind: 'message', reason: SILENT_NOT_POSSIBLE }
      let outcome = await services.post({ ...request, signal })
      if (isTopicRefused(outcome)) {
        // Refused, so not processed: it goes once more without what only replaces it in the service's store.
        const { Topic: _refused, ...headers } = request.headers
        outcome = await services.post({ ...request, headers, signal })
      }
      return webPushVerdict(outcome, Date.now())
    } catch (error) {
      if (error instanceof BadKeysError) return { kind: 'address', reason: 'INVALID_KEYS' }
      if (!(error instanceof ChannelError)) throw error
      return error.code === 'EGRESS_REFUSED'
        ? { kind: 'address', reason: 'ENDPOINT_REFUSED' }
        : { kind: 'message', reason: error.code }
    }
  }

  let disposed: Promise<void> | undefined
  return {
    provider: 'webpush',
    send: (batch, signal) =>
      inFlight.run(() =>
        sendEach(batch, { signal, batchMs: timeouts.batchMs, concurrency: CONCURRENCY }, one),
      ),
    [Symbol.asyncDispose]() {
      disposed ??= inFlight.idle().then(() => services[Symbol.asyncDispose]())
      return disposed
    },
  }
}

function isTopicRefused(outcome: HttpOutcome): boolean {
  return outcome.kind === 'answer' && outcome.status === 400 && outcome.text.includes('BadWebPushTopic')
}

function asText(headers: object): Record<string, string> {
  const text: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) text[name] = String(value)
  return text
}

/** The subscription's keys are no point on the curve or of the wrong length: it can never be encrypted to. */
class BadKeysError extends Error {}

function encrypted<T>(make: () => T): T {
  try {
    return make()
  } catch (cause) {
    throw new BadKeysError('The subscription keys are not usable.', { cause })
  }
}
