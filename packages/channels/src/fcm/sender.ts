import { randomUUID } from 'node:crypto'
import type { App } from 'firebase-admin/app'
import type { Messaging } from 'firebase-admin/messaging'
import { createEgressAgent } from '../egress/agent.js'
import { createEgressGuard } from '../egress/guard.js'
import { ChannelError } from '../errors.js'
import { fitTo } from '../fit.js'
import { createInFlight } from '../in-flight.js'
import { isExpired } from '../lifetime.js'
import type { Outgoing, OutgoingTo } from '../message.js'
import { sendEach, wrongAddress } from '../send-each.js'
import type { Sender } from '../sender.js'
import { type ChannelSettings, timeoutsOf } from '../settings.js'
import type { Verdict } from '../verdict.js'
import { type AccessTokens, createAccessTokens } from './access-token.js'
import { readFcmCredentials } from './credentials.js'
import { FCM_MAX_BYTES, fcmMeasured, fcmPayload } from './payload.js'
import { type FcmAnswer, fcmVerdict } from './verdict.js'
import { createWire, type Wire } from './wire.js'

const CONCURRENCY = 500

/** What firebase-admin asks of the HTTP client inside it. */
interface SdkRequest {
  url: string
  headers: Record<string, string>
  data: { message: { data?: Record<string, string> } }
}

/** The part of firebase-admin that is replaced: its HTTP client. There is no public seam for it. */
interface SdkInsides {
  messagingRequestHandler: { httpClient: { send(request: SdkRequest): Promise<unknown> } }
}

interface Sdk {
  messaging: Messaging
  close(): Promise<void>
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
  const wire = createWire({ dial: settings.endpoints?.fcm, ca: settings.ca, timeouts })
  const answers = new Map<string, { signal: AbortSignal; answer?: FcmAnswer; verdict?: Verdict }>()
  let sdk: Promise<Sdk> | undefined

  const carry = async (request: SdkRequest): Promise<unknown> => {
    const waiting = answers.get(request.data.message.data?.attempt ?? '')
    if (!waiting) throw new Error('firebase-admin sent a message that nobody waits for')
    delete request.data.message.data?.attempt
    const outcome = await askWithToken(tokens, wire, request, waiting.signal)
    if ('verdict' in outcome) waiting.verdict = outcome.verdict
    else waiting.answer = outcome.answer
    return sdkResponse('answer' in outcome ? outcome.answer : undefined)
  }

  const one = async (outgoing: Outgoing, signal: AbortSignal): Promise<Verdict> => {
    if (outgoing.address.kind !== 'fcm') return wrongAddress(outgoing, 'fcm')
    if (isExpired(outgoing.message, Date.now())) return { kind: 'message', reason: 'EXPIRED' }
    sdk ??= openSdk(credentials.projectId, carry)
    const { messaging } = await sdk
    const now = Date.now()
    const payload = fitted(outgoing as OutgoingTo<'fcm'>, now)
    if ('verdict' in payload) return payload.verdict
    const attempt = randomUUID()
    const waiting: { signal: AbortSignal; answer?: FcmAnswer; verdict?: Verdict } = { signal }
    answers.set(attempt, waiting)
    try {
      await messaging.send({ ...payload.message, data: { ...payload.message.data, attempt } })
    } catch (error) {
      if (!waiting.answer && !waiting.verdict) {
        const reason = error instanceof Error ? error.message.slice(0, 160) : 'INVALID_PAYLOAD'
        return { kind: 'message', reason }
      }
    } finally {
      answers.delete(attempt)
    }
    if (waiting.verdict) return waiting.verdict
    return waiting.answer ? fcmVerdict(waiting.answer, Date.now()) : { kind: 'unknown', reason: 'NO_ANSWER' }
  }

  let disposed: Promise<void> | undefined
  return {
    provider: 'fcm',
    quota: `fcm ${credentials.projectId}`,
    send: (batch, signal) =>
      inFlight.run(() =>
        sendEach(batch, { signal, batchMs: timeouts.batchMs, concurrency: CONCURRENCY }, one),
      ),
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

async function askWithToken(
  tokens: AccessTokens,
  wire: Wire,
  request: SdkRequest,
  signal: AbortSignal,
): Promise<{ answer: FcmAnswer } | { verdict: Verdict }> {
  const path = new URL(request.url).pathname
  const body = JSON.stringify(request.data)
  const ask = (token: string) =>
    wire.request({ path, headers: { ...request.headers, authorization: `Bearer ${token}` }, body, signal })
  const first = await tokens.get()
  if (!first.ok) return { verdict: first.verdict }
  const answer = await ask(first.token)
  const refused =
    answer.kind === 'answer' && answer.status === 401 && !answer.text.includes('THIRD_PARTY_AUTH_ERROR')
  if (!refused) return { answer }
  const second = await tokens.renew(first.token)
  return second.ok ? { answer: await ask(second.token) } : { verdict: second.verdict }
}

function fitted(outgoing: OutgoingTo<'fcm'>, nowMs: number) {
  try {
    const { message } = fitTo(outgoing, FCM_MAX_BYTES, (candidate) =>
      fcmMeasured(fcmPayload(candidate, nowMs)),
    )
    return { message: fcmPayload({ ...outgoing, message }, nowMs) }
  } catch (error) {
    if (!(error instanceof ChannelError)) throw error
    return { verdict: { kind: 'message', reason: error.code } satisfies Verdict }
  }
}

/** Loaded on first use: it costs a third of a second and 30 MB, which a process without FCM need not pay. */
async function openSdk(projectId: string, send: (request: SdkRequest) => Promise<unknown>): Promise<Sdk> {
  const [{ deleteApp, initializeApp }, { getMessaging }] = await Promise.all([
    import('firebase-admin/app'),
    import('firebase-admin/messaging'),
  ])
  const credential = { getAccessToken: async () => ({ access_token: 'held by the wire', expires_in: 3600 }) }
  const app: App = initializeApp({ projectId, credential }, `carillon-${randomUUID()}`)
  const messaging = getMessaging(app)
  ;(messaging as unknown as SdkInsides).messagingRequestHandler.httpClient = { send }
  return { messaging, close: () => deleteApp(app) }
}

/** The SDK wants a response it can read; the verdict is made from the answer itself. */
function sdkResponse(answer: FcmAnswer | undefined): unknown {
  const text = answer?.kind === 'answer' && answer.status === 200 ? answer.text : '{"name":"none"}'
  let data: unknown = {}
  try {
    data = JSON.parse(text)
  } catch {
    data = {}
  }
  return { status: 200, headers: {}, text, data, isJson: () => true }
}
