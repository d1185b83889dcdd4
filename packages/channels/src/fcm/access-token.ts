import { createSign } from 'node:crypto'
import type { Dispatcher } from 'undici'
import { post } from '../egress/post.js'
import type { Verdict } from '../verdict.js'
import type { FcmCredentials } from './credentials.js'

const GOOGLE_TOKEN_URL = 'https://oauth2.googleapis.com/token'
const SCOPE = 'https://www.googleapis.com/auth/firebase.messaging'
const REFRESH_BEFORE_MS = 5 * 60_000
const FAILURE_PAUSE_MS = 5_000

export type AccessToken = { ok: true; token: string } | { ok: false; verdict: Verdict }

export interface AccessTokenOptions {
  credentials: FcmCredentials
  /** Absent: Google's. */
  url: string | undefined
  dispatcher: Dispatcher
  timeoutMs: number
}

/**
 * Google access tokens for one service account. One request at a time, however many ask. A token that is still valid
 * is served when its renewal fails. `renew` drops a token that the other side refused.
 */
export interface AccessTokens {
  get(): Promise<AccessToken>
  renew(refused: string): Promise<AccessToken>
}

export function createAccessTokens(options: AccessTokenOptions): AccessTokens {
  let current: { token: string; refreshAt: number; expiresAt: number } | undefined
  let failure: { verdict: Verdict; until: number } | undefined
  let asking: Promise<AccessToken> | undefined

  const ask = async (): Promise<AccessToken> => {
    const outcome = await post({
      url: options.url ?? GOOGLE_TOKEN_URL,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        assertion: assertion(options.credentials),
      }).toString(),
      dispatcher: options.dispatcher,
      signal: new AbortController().signal,
      timeoutMs: options.timeoutMs,
      maxAnswerBytes: 65_536,
    })
    const granted = outcome.kind === 'answer' && outcome.status === 200 ? readGrant(outcome.text) : undefined
    if (granted) {
      const now = Date.now()
      const lifeMs = granted.seconds * 1000
      current = {
        token: granted.token,
        expiresAt: now + lifeMs,
        refreshAt: now + Math.max(lifeMs / 2, lifeMs - REFRESH_BEFORE_MS),
      }
      failure = undefined
      return { ok: true, token: granted.token }
    }
    const refused =
      outcome.kind === 'answer' && outcome.status >= 400 && outcome.status < 500 && outcome.status !== 429
    const verdict: Verdict = refused
      ? { kind: 'config', reason: 'INVALID_CREDENTIAL' }
      : { kind: 'retry', reason: 'OAUTH_UNREACHABLE', afterMs: FAILURE_PAUSE_MS }
    failure = { verdict, until: Date.now() + FAILURE_PAUSE_MS }
    return { ok: false, verdict }
  }

  const get = async (): Promise<AccessToken> => {
    const now = Date.now()
    if (current && now < current.refreshAt) return { ok: true, token: current.token }
    const stillValid = current && now < current.expiresAt ? current.token : undefined
    if (failure && now < failure.until) {
      return stillValid ? { ok: true, token: stillValid } : { ok: false, verdict: failure.verdict }
    }
    asking ??= ask().finally(() => {
      asking = undefined
    })
    const answer = await asking
    return !answer.ok && stillValid ? { ok: true, token: stillValid } : answer
  }

  return {
    get,
    renew(refused) {
      if (current?.token === refused) current = undefined
      return get()
    },
  }
}

/** RFC 7523 assertion. Five seconds back, since clocks differ. */
function assertion(credentials: FcmCredentials): string {
  const issuedAt = Math.floor(Date.now() / 1000) - 5
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const header = {
    alg: 'RS256',
    typ: 'JWT',
    ...(credentials.privateKeyId ? { kid: credentials.privateKeyId } : {}),
  }
  const claims = {
    iss: credentials.clientEmail,
    scope: SCOPE,
    aud: GOOGLE_TOKEN_URL,
    iat: issuedAt,
    exp: issuedAt + 3600,
  }
  const unsigned = `${part(header)}.${part(claims)}`
  return `${unsigned}.${createSign('RSA-SHA256').update(unsigned).sign(credentials.privateKey, 'base64url')}`
}

function readGrant(text: string): { token: string; seconds: number } | undefined {
  try {
    const grant: unknown = JSON.parse(text)
    if (typeof grant !== 'object' || grant === null) return undefined
    const { access_token: token, expires_in: seconds } = grant as Record<string, unknown>
    return typeof token === 'string' && typeof seconds === 'number' ? { token, seconds } : undefined
  } catch {
    return undefined
  }
}
