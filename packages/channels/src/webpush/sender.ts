import webpush from 'web-push'
import { createEgressAgent } from '../egress/agent.js'
import { createEgressGuard } from '../egress/guard.js'
import { type HttpOutcome, post } from '../egress/post.js'
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
import { createVapidHeaders } from './vapid.js'
import { webPushVerdict } from './verdict.js'

const CONCURRENCY = 200
/** To one push service; each carries one message at a time, so 50 ms away these are 2500 a second. */
const CONNECTIONS = 128
const MAX_ANSWER_BYTES = 4096

/** Web Push: web-push signs and encrypts, a keep-alive pool with guarded addresses carries. */
export function openWebPushSender(value: unknown, settings: ChannelSettings): Sender {
  const credentials = readWebPushCredentials(value)
  const timeouts = timeoutsOf(settings)
  const guard = createEgressGuard({ allowPrivate: settings.allowPrivateEgress ?? false })
  const agent = createEgressAgent({ guard, timeouts, ca: settings.ca, connections: CONNECTIONS })
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
    const headers = Object.fromEntries(
      Object.entries(details.headers).map(([name, text]) => [name, String(text)]),
    )
    return { url: url.href, headers, body: details.body }
  }

  const one = async (outgoing: Outgoing, signal: AbortSignal): Promise<Verdict> => {
    if (!isFor(outgoing, 'webpush')) return wrongAddress(outgoing, 'webpush')
    const now = Date.now()
    if (isExpired(outgoing.message, now)) return { kind: 'message', reason: 'EXPIRED' }
    try {
      const request = isHidden(outgoing.message) ? undefined : requestFor(outgoing, now)
      if (!request) return { kind: 'message', reason: SILENT_NOT_POSSIBLE }
      const ask = (headers: Record<string, string>) =>
        post({
          ...request,
          headers,
          dispatcher: agent,
          signal,
          timeoutMs: timeouts.requestMs,
          maxAnswerBytes: MAX_ANSWER_BYTES,
        })
      let outcome = await ask(request.headers)
      if (isTopicRefused(outcome)) {
        // Refused, so not processed: it goes once more without what only replaces it in the service's store.
        const { Topic: _refused, ...others } = request.headers
        outcome = await ask(others)
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
      disposed ??= inFlight.idle().then(() => agent.close())
      return disposed
    },
  }
}

function isTopicRefused(outcome: HttpOutcome): boolean {
  return outcome.kind === 'answer' && outcome.status === 400 && outcome.text.includes('BadWebPushTopic')
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
