import { createECDH, randomUUID } from 'node:crypto'
import { isIP } from 'node:net'
import { readApnsCredentials } from './apns/credentials.js'
import { createApnsPool } from './apns/pool.js'
import { apnsVerdict } from './apns/verdict.js'
import { type CredentialCheck, fromVerdict, LET_IN, wrong } from './check-credentials-outcome.js'
import { createEgressAgent } from './egress/agent.js'
import { createEgressGuard } from './egress/guard.js'
import { createAccessTokens } from './fcm/access-token.js'
import { readFcmCredentials } from './fcm/credentials.js'
import { fcmVerdict } from './fcm/verdict.js'
import { createFcmWire } from './fcm/wire.js'
import { type ChannelSettings, timeoutsOf } from './settings.js'
import { readWebPushCredentials } from './webpush/credentials.js'

/** Google's check refuses it before it looks for a phone. */
const NO_FCM_TOKEN = 'credentials-check'
const NO_APNS_TOKEN = '0'.repeat(64)

const FCM_REMEDIES = {
  INVALID_CREDENTIAL:
    'Google does not accept this service account. Create a new key for it, and see that this machine’s clock is right.',
  PERMISSION_DENIED:
    'The service account may not send for this project. Give it the role "Firebase Cloud Messaging API Admin", switch on the FCM API, and compare project_id.',
}
const APNS_REMEDIES = {
  InvalidProviderToken: 'Compare keyId and teamId with Apple’s developer account; the key may be revoked.',
  TopicDisallowed: 'The key may not send for this bundleId. Compare it with the app’s.',
  BadTopic: 'The bundleId is malformed. Compare it with the app’s.',
  BadEnvironmentKeyIdInToken: 'The key belongs to the other environment. Set environment to match it.',
  UnrelatedKeyIdInToken: 'The key belongs to another team or app. Compare keyId, teamId and bundleId.',
}

/** A message to a token that can't exist, marked `validate_only`: FCM complains of the token only when we may send. */
export async function tryFcm(
  value: unknown,
  settings: ChannelSettings,
  signal: AbortSignal,
): Promise<CredentialCheck> {
  const credentials = readFcmCredentials(value)
  const timeouts = timeoutsOf(settings)
  const guard = createEgressGuard({ allowPrivate: true })
  const agent = createEgressAgent({ guard, timeouts, ca: settings.ca, connections: 1 })
  const wire = createFcmWire({ dial: settings.endpoints?.fcm, ca: settings.ca, timeouts })
  try {
    const tokens = createAccessTokens({
      credentials,
      url: settings.endpoints?.fcmToken,
      dispatcher: agent,
      timeoutMs: timeouts.requestMs,
    })
    const access = await tokens.get()
    const otherwise = 'Google refuses this service account. Compare project_id and the roles of the account.'
    if (!access.ok) return fromVerdict(access.verdict, FCM_REMEDIES, otherwise)
    const answer = await wire.request({
      path: `/v1/projects/${encodeURIComponent(credentials.projectId)}/messages:send`,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${access.token}` },
      body: JSON.stringify({ validate_only: true, message: { token: NO_FCM_TOKEN } }),
      signal,
    })
    const verdict = fcmVerdict(answer, Date.now())
    if (verdict.kind !== 'address') return fromVerdict(verdict, FCM_REMEDIES, otherwise)
    // A 404 that doesn't speak of a registration is the project's, not the token's.
    const named =
      verdict.reason !== 'UNREGISTERED' || ('text' in answer && answer.text.includes('UNREGISTERED'))
    return named ? LET_IN : wrong('PROJECT_NOT_FOUND', 'There is no such project. Compare project_id.')
  } finally {
    await wire[Symbol.asyncDispose]()
    await agent.destroy()
  }
}

/** A push to 64 zeros: Apple complains of the token only once key, team, topic and environment are right. */
export async function tryApns(
  value: unknown,
  settings: ChannelSettings,
  signal: AbortSignal,
): Promise<CredentialCheck> {
  const credentials = readApnsCredentials(value)
  await using pool = createApnsPool({
    credentials,
    environment: credentials.environment,
    dial: settings.endpoints?.apns,
    ca: settings.ca,
    timeouts: timeoutsOf(settings),
  })
  const headers = {
    'apns-topic': credentials.bundleId,
    'apns-push-type': 'background',
    'apns-priority': 5,
    'apns-expiration': 0,
    'apns-id': randomUUID(),
  }
  const body = JSON.stringify({ aps: { 'content-available': 1 } })
  const verdict = apnsVerdict(await pool.send({ headers, body }, NO_APNS_TOKEN, signal))
  if (verdict.kind !== 'address') {
    return fromVerdict(verdict, APNS_REMEDIES, 'Apple refuses this key. Compare keyId, teamId and bundleId.')
  }
  return verdict.reason === 'DeviceTokenNotForTopic'
    ? wrong(verdict.reason, 'The key may not send for this bundleId. Compare it with the app’s.')
    : LET_IN
}

/** Only a subscription leads to a push service, so nothing can be asked: the subject and the key pair are looked at. */
export async function lookAtWebPush(value: unknown): Promise<CredentialCheck> {
  const { subject, publicKey, privateKey } = readWebPushCredentials(value)
  if (!isReachable(subject)) {
    return wrong(
      'SUBJECT_UNREACHABLE',
      'Name a mailto: or https: subject on a public domain; Apple refuses others.',
    )
  }
  const pair = createECDH('prime256v1')
  try {
    pair.setPrivateKey(Buffer.from(privateKey, 'base64url'))
  } catch {
    return wrong('KEYS_INVALID', 'The private key is no number of the curve P-256. Create a new key pair.')
  }
  if (pair.getPublicKey().equals(Buffer.from(publicKey, 'base64url'))) return { ok: true, tried: false }
  return wrong(
    'KEYS_DO_NOT_MATCH',
    'The public and the private key are not of one pair. Set both of the same pair.',
  )
}

function isReachable(subject: string): boolean {
  const host = subject.startsWith('mailto:') ? (subject.split('@').pop() ?? '') : new URL(subject).hostname
  return (
    host.includes('.') && isIP(host) === 0 && !/(^|\.)(localhost|local|internal|invalid|test)\.?$/i.test(host)
  )
}
