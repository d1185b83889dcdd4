import { createEgressAgent } from '../egress/agent.js'
import { createEgressGuard } from '../egress/guard.js'
import { ChannelError } from '../errors.js'
import { fitPayload } from '../fit.js'
import { createInFlight } from '../in-flight.js'
import { isExpired } from '../lifetime.js'
import { liveActivityProblem } from '../live-activity.js'
import { isFor, type Outgoing, type OutgoingFor } from '../message.js'
import { sendEach, wrongAddress } from '../send-each.js'
import type { Sender } from '../sender.js'
import { type ChannelSettings, timeoutsOf } from '../settings.js'
import type { Verdict } from '../verdict.js'
import { createAccessTokens } from './access-token.js'
import { readFcmCredentials } from './credentials.js'
import { fcmMeasured } from './payload.js'
import { openSdk, type Sdk, type SdkRequest, sdkResponse } from './sdk.js'
import { createTopics } from './topics.js'
import { fcmVerdict } from './verdict.js'
import { createFcmWire } from './wire.js'
import { type Authorised, withAccessToken } from './with-access-token.js'

const CONCURRENCY = 1000
const JSON_TYPE = { 'content-type': 'application/json' }
const MAX_CONDITION_TOPICS = 5
/** Where the host begins in what the SDK asks for. */
const ORIGIN_START = 'https://'.length
/** Names an attempt while the SDK has it; taken out before anything is written. */
const ATTEMPT = 'carillon:attempt'

/** An attempt that the SDK is busy with, and what came of it. */
interface Waiting {
  signal: AbortSignal
  outcome?: Authorised
}

/**
 * FCM through firebase-admin, which checks and encodes the message; the wire below it is ours, so every message gets
 * its own answer, with Retry-After, and nothing is tried twice. A refused access token is renewed once per message.
 */
export function openFcmSender(value: unknown, settings: ChannelSettings): Sender {
  const credentials = readFcmCredentials(value)
  const timeouts = timeoutsOf(settings)
  const inFlight = createInFlight()
  const agent = createEgressAgent({
    guard: createEgressGuard({ allowPrivate: true }),
    timeouts,
    ca: settings.ca,
    connections: 2,
  })
  const tokens = createAccessTokens({
    credentials,
    url: settings.endpoints?.fcmToken,
    dispatcher: agent,
    timeoutMs: timeouts.requestMs,
  })
  const wire = createFcmWire({ dial: settings.endpoints?.fcm, ca: settings.ca, timeouts })
  const attempts = new Map<string, Waiting>()
  let sdk: Promise<Sdk> | undefined
  let lastAttempt = 0
  const sent = sdkResponse('{"name":"sent"}')
  const opened = () => {
    sdk ??= openSdk(credentials.projectId, carry)
    return sdk
  }
  const topics = createTopics({
    sdk: opened,
    tokens,
    dispatcher: agent,
    dial: settings.endpoints?.fcm,
    timeoutMs: timeouts.requestMs,
  })

  const carry = async (request: SdkRequest): Promise<unknown> => {
    if (!('message' in request.data)) return topics.carry(request)
    const { data } = request.data.message
    const waiting = attempts.get(data?.[ATTEMPT] ?? '')
    if (!data || !waiting) throw new Error('firebase-admin sent a message that nobody waits for')
    delete data[ATTEMPT]
    const path = request.url.slice(request.url.indexOf('/', ORIGIN_START))
    const body = JSON.stringify(request.data)
    waiting.outcome = await withAccessToken(tokens, (token) =>
      wire.request({
        path,
        headers: { ...request.headers, ...JSON_TYPE, authorization: `Bearer ${token}` },
        body,
        signal: waiting.signal,
      }),
    )
    // The SDK only has to be content; the verdict is made from the answer itself.
    return sent
  }

  const one = async (outgoing: Outgoing, signal: AbortSignal): Promise<Verdict> => {
    if (!isFor(outgoing, 'fcm')) return wrongAddress(outgoing, 'fcm')
    const now = Date.now()
    const problem = problemOf(outgoing, now)
    if (problem) return problem
    const { messaging } = await opened()
    const attempt = String(++lastAttempt)
    const waiting: Waiting = { signal }
    attempts.set(attempt, waiting)
    try {
      const { payload } = fitPayload(outgoing, fcmMeasured(outgoing, now))
      await messaging.send({ ...payload, data: { ...payload.data, [ATTEMPT]: attempt } })
    } catch (error) {
      if (error instanceof ChannelError) return { kind: 'message', reason: error.code }
      if (!waiting.outcome) return { kind: 'message', reason: reasonOf(error) }
    } finally {
      attempts.delete(attempt)
    }
    const { outcome } = waiting
    if (!outcome) return { kind: 'unknown', reason: 'NO_ANSWER' }
    return 'verdict' in outcome ? outcome.verdict : fcmVerdict(outcome.answer, Date.now())
  }

  let disposed: Promise<void> | undefined
  return {
    provider: 'fcm',
    quota: `fcm ${credentials.projectId}`,
    send: (batch, signal) =>
      inFlight.run(() =>
        sendEach(batch, { signal, batchMs: timeouts.batchMs, concurrency: CONCURRENCY }, one),
      ),
    manageTopic: (change, signal) => inFlight.run(() => topics.manage(change, signal)),
    [Symbol.asyncDispose]() {
      disposed ??= (async () => {
        await inFlight.idle()
        await wire[Symbol.asyncDispose]()
        await agent.close()
        await (await sdk)?.close()
      })()
      return disposed
    },
  }
}

/** What keeps a message from being sent before FCM is asked. */
function problemOf({ address, message }: OutgoingFor<'fcm'>, nowMs: number): Verdict | undefined {
  if (isExpired(message, nowMs)) return { kind: 'message', reason: 'EXPIRED' }
  if (address.kind === 'fcm-topic' && address.condition !== undefined) {
    const topics = address.condition.match(/\bin\s+topics\b/g)?.length ?? 0
    if (topics > MAX_CONDITION_TOPICS) return { kind: 'message', reason: 'TOO_MANY_TOPICS' }
  }
  const reason = address.kind === 'fcm-live-activity' ? liveActivityProblem(message) : undefined
  return reason === undefined ? undefined : { kind: 'message', reason }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 160) : 'INVALID_PAYLOAD'
}
