import { createEgressAgent } from '../egress/agent.js'
import { createEgressGuard } from '../egress/guard.js'
import { post } from '../egress/post.js'
import { ChannelError } from '../errors.js'
import { fitTo } from '../fit.js'
import { createInFlight } from '../in-flight.js'
import { isExpired } from '../lifetime.js'
import type { Outgoing, OutgoingTo } from '../message.js'
import { sendEach, wrongAddress } from '../send-each.js'
import type { Sender } from '../sender.js'
import { type ChannelSettings, timeoutsOf } from '../settings.js'
import type { Verdict } from '../verdict.js'
import { isHidden, SILENT_NOT_POSSIBLE } from '../visibility.js'
import { isPhoneNumber, readSmsCredentials } from './credentials.js'
import { SMS_MAX_UNITS, smsMeasured, smsPayload, smsText } from './payload.js'
import { smsVerdict } from './verdict.js'

/** An account's own limit is far lower for most numbers; Twilio queues what is over it. */
const CONCURRENCY = 20
const MAX_ANSWER_BYTES = 16_384

/**
 * Text messages through Twilio's API. It has no idempotency key: an attempt without an answer is `unknown`, and its
 * repetition may ring twice.
 */
export function openSmsSender(value: unknown, settings: ChannelSettings): Sender {
  const credentials = readSmsCredentials(value)
  const timeouts = timeoutsOf(settings)
  const guard = createEgressGuard({ allowPrivate: settings.allowPrivateEgress ?? false })
  const agent = createEgressAgent({ guard, timeouts, ca: settings.ca, connections: CONCURRENCY })
  const inFlight = createInFlight()
  const { accountSid, authToken, baseUrl } = credentials
  const url = `${baseUrl}/2010-04-01/Accounts/${accountSid}/Messages.json`
  const authorization = `Basic ${Buffer.from(`${accountSid}:${authToken}`).toString('base64')}`

  const one = async (outgoing: Outgoing, signal: AbortSignal): Promise<Verdict> => {
    if (outgoing.address.kind !== 'sms') return wrongAddress(outgoing, 'sms')
    if (isExpired(outgoing.message, Date.now())) return { kind: 'message', reason: 'EXPIRED' }
    if (isHidden(outgoing.message)) return { kind: 'message', reason: SILENT_NOT_POSSIBLE }
    if (!isPhoneNumber(outgoing.address.phone)) return { kind: 'address', reason: 'INVALID_NUMBER' }
    const to = outgoing as OutgoingTo<'sms'>
    try {
      const fitted = { ...to, message: fitTo(to, SMS_MAX_UNITS, smsMeasured).message }
      if (smsText(fitted) === '') return { kind: 'message', reason: 'NO_TEXT' }
      const outcome = await post({
        url: guard.check(url).href,
        headers: {
          authorization,
          'content-type': 'application/x-www-form-urlencoded',
          accept: 'application/json',
        },
        body: smsPayload(fitted, credentials, Date.now()).toString(),
        dispatcher: agent,
        signal,
        timeoutMs: timeouts.requestMs,
        maxAnswerBytes: MAX_ANSWER_BYTES,
      })
      return smsVerdict(outcome, Date.now())
    } catch (error) {
      if (!(error instanceof ChannelError)) throw error
      return error.code === 'EGRESS_REFUSED'
        ? { kind: 'config', reason: 'URL_REFUSED' }
        : { kind: 'message', reason: error.code }
    }
  }

  let disposed: Promise<void> | undefined
  return {
    provider: 'sms',
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
