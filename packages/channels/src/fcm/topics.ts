import type { Dispatcher } from 'undici'
import { type HttpOutcome, post } from '../egress/post.js'
import type { TopicChange } from '../sender.js'
import type { DialAddress } from '../settings.js'
import type { Verdict } from '../verdict.js'
import type { AccessTokens } from './access-token.js'
import { type Sdk, type SdkRequest, sdkResponse } from './sdk.js'
import { fcmVerdict } from './verdict.js'
import { withAccessToken } from './with-access-token.js'

/** Tokens that Google takes in one call. */
const MAX_TOKENS = 1000
const TOPICS_ORIGIN = 'https://iid.googleapis.com'
const MAX_ANSWER_BYTES = 262_144

/** What the SDK makes of Google's word about one token. */
const VERDICTS: Readonly<Record<string, Verdict>> = {
  'messaging/registration-token-not-registered': { kind: 'address', reason: 'UNREGISTERED' },
  'messaging/invalid-registration-token': { kind: 'address', reason: 'INVALID_TOKEN' },
  'messaging/too-many-topics': { kind: 'message', reason: 'TOO_MANY_TOPICS' },
  'messaging/authentication-error': { kind: 'config', reason: 'PERMISSION_DENIED' },
  'messaging/server-unavailable': { kind: 'retry', reason: 'UNAVAILABLE' },
  'messaging/internal-error': { kind: 'retry', reason: 'INTERNAL' },
}

export interface TopicsOptions {
  sdk(): Promise<Sdk>
  tokens: AccessTokens
  dispatcher: Dispatcher
  /** Asked in place of Google's. */
  dial: DialAddress | undefined
  timeoutMs: number
}

/** Subscriptions of app instances to FCM topics, through firebase-admin over our own connections. */
export interface Topics {
  /** One verdict per token, in order. Repeating a change is harmless, so nothing is ever `unknown`. */
  manage(change: TopicChange, signal: AbortSignal): Promise<Verdict[]>
  /** Carries what firebase-admin asks while a change is under way. */
  carry(request: SdkRequest): Promise<unknown>
}

export function createTopics(options: TopicsOptions): Topics {
  const origin = options.dial ? `https://${options.dial.host}:${options.dial.port}` : TOPICS_ORIGIN
  // The SDK hands on the very array that it was given, which tells calls apart.
  const calls = new WeakMap<readonly string[], { signal: AbortSignal; verdict?: Verdict }>()

  const ask = (request: SdkRequest, signal: AbortSignal, token: string): Promise<HttpOutcome> =>
    post({
      url: `${origin}${new URL(request.url).pathname}`,
      headers: { ...request.headers, authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(request.data),
      dispatcher: options.dispatcher,
      signal,
      timeoutMs: options.timeoutMs,
      maxAnswerBytes: MAX_ANSWER_BYTES,
    })

  const some = async (tokens: string[], change: TopicChange, signal: AbortSignal): Promise<Verdict[]> => {
    const call: { signal: AbortSignal; verdict?: Verdict } = { signal }
    calls.set(tokens, call)
    try {
      const { messaging } = await options.sdk()
      const { errors } =
        change.action === 'subscribe'
          ? await messaging.subscribeToTopic(tokens, change.topic)
          : await messaging.unsubscribeFromTopic(tokens, change.topic)
      const verdicts = tokens.map((): Verdict => ({ kind: 'accepted' }))
      for (const { index, error } of errors) {
        verdicts[index] = VERDICTS[error.code] ?? { kind: 'retry', reason: error.code }
      }
      return verdicts
    } catch (error) {
      const reason = error instanceof Error ? error.message.slice(0, 160) : 'INVALID_REQUEST'
      return tokens.map((): Verdict => call.verdict ?? { kind: 'message', reason })
    }
  }

  return {
    async manage(change, signal) {
      const verdicts: Verdict[] = []
      for (let from = 0; from < change.tokens.length; from += MAX_TOKENS) {
        verdicts.push(...(await some(change.tokens.slice(from, from + MAX_TOKENS), change, signal)))
      }
      return verdicts
    },
    async carry(request) {
      const call = 'registration_tokens' in request.data && calls.get(request.data.registration_tokens)
      if (!call) throw new Error('firebase-admin changes a topic for nobody')
      const outcome = await withAccessToken(options.tokens, (token) => ask(request, call.signal, token))
      if ('answer' in outcome && outcome.answer.kind === 'answer' && outcome.answer.status === 200) {
        return sdkResponse(outcome.answer.text)
      }
      call.verdict = 'verdict' in outcome ? outcome.verdict : again(fcmVerdict(outcome.answer, Date.now()))
      throw new Error('the topic was not changed')
    },
  }
}

/** A subscription that was perhaps made can be made once more. */
function again(verdict: Verdict): Verdict {
  return verdict.kind === 'unknown' ? { kind: 'retry', reason: verdict.reason } : verdict
}
