import { createEgressAgent } from '../egress/agent.js'
import { createEgressGuard } from '../egress/guard.js'
import { post } from '../egress/post.js'
import { ChannelError } from '../errors.js'
import { fitPayload } from '../fit.js'
import { createInFlight } from '../in-flight.js'
import { isExpired } from '../lifetime.js'
import type { Outgoing, OutgoingTo } from '../message.js'
import { sendEach, wrongAddress } from '../send-each.js'
import type { Sender } from '../sender.js'
import { type ChannelSettings, timeoutsOf } from '../settings.js'
import type { Verdict } from '../verdict.js'
import { readWebhookCredentials } from './credentials.js'
import { signWebhook, webhookMeasured } from './payload.js'
import { webhookVerdict } from './verdict.js'

const CONCURRENCY = 50
const MAX_ANSWER_BYTES = 1024

/** Webhooks by Standard Webhooks, over the guarded pool. */
export function openWebhookSender(value: unknown, settings: ChannelSettings): Sender {
  const credentials = readWebhookCredentials(value)
  const timeouts = timeoutsOf(settings)
  const guard = createEgressGuard({ allowPrivate: settings.allowPrivateEgress ?? false })
  const agent = createEgressAgent({ guard, timeouts, ca: settings.ca, connections: 5 })
  const inFlight = createInFlight()

  const one = async (outgoing: Outgoing, signal: AbortSignal): Promise<Verdict> => {
    if (outgoing.address.kind !== 'webhook') return wrongAddress(outgoing, 'webhook')
    if (isExpired(outgoing.message, Date.now())) return { kind: 'message', reason: 'EXPIRED' }
    const to = outgoing as OutgoingTo<'webhook'>
    try {
      const url = guard.check(to.address.url)
      const { payload: body } = fitPayload(to, webhookMeasured)
      const headers = signed(to, body)
      if (!headers) return { kind: 'address', reason: 'SECRET_INVALID', suspend: true }
      const outcome = await post({
        url: url.href,
        headers: { ...headers, 'user-agent': credentials.userAgent },
        body,
        dispatcher: agent,
        signal,
        timeoutMs: timeouts.requestMs,
        maxAnswerBytes: MAX_ANSWER_BYTES,
      })
      return webhookVerdict(outcome, Date.now())
    } catch (error) {
      if (!(error instanceof ChannelError)) throw error
      return error.code === 'EGRESS_REFUSED'
        ? { kind: 'address', reason: 'URL_REFUSED', suspend: true }
        : { kind: 'message', reason: error.code }
    }
  }

  let disposed: Promise<void> | undefined
  return {
    provider: 'webhook',
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

/** An unsigned webhook is never sent: without a usable secret there are no headers. */
function signed(outgoing: OutgoingTo<'webhook'>, body: string): Record<string, string> | undefined {
  if (outgoing.address.secrets.length === 0) return undefined
  try {
    return signWebhook(outgoing, body, Date.now())
  } catch {
    return undefined
  }
}
