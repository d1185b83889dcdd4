import { createPublicKey, generateKeyPair, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import type { Outcome, SimulatorRequest } from '../https-server.js'
import { readJwt, verifyJwt } from '../jwt.js'
import { json } from './answers.js'

export const PROJECT = 'carillon-simulated'
const TOKEN_SECONDS = 3599

/** A service account and the access tokens that Google issued for it. */
export interface GoogleAccount {
  /** The JSON that the provider's console hands out. */
  readonly credentials: Record<string, string>
  /** Answers the token endpoint; true assertions count in `tokensIssued`. */
  grant(request: SimulatorRequest): Outcome
  /** True when the bearer token is one of ours and still valid. */
  authorised(request: SimulatorRequest): boolean
  revoke(): void
  save(): SavedAccount
}

export interface SavedAccount {
  credentials: Record<string, string>
  publicKey: string
  /** Seconds since the epoch when each expires. */
  access: [token: string, expires: number][]
}

export async function openAccount(
  counters: { tokensIssued: number },
  now: () => number,
  saved?: SavedAccount,
): Promise<GoogleAccount> {
  const { credentials, publicKey: pem, access: issued } = saved ?? (await makeAccount())
  const publicKey = createPublicKey(pem)
  const access = new Map(issued)
  return {
    credentials,
    grant(request) {
      const form = new URLSearchParams(request.body.toString('utf8'))
      const assertion = form.get('assertion') ?? ''
      const claims = readJwt(assertion)?.claims ?? {}
      const seconds = now() / 1000
      const valid =
        form.get('grant_type') === 'urn:ietf:params:oauth:grant-type:jwt-bearer' &&
        claims.iss === credentials.client_email &&
        verifyJwt(assertion, 'RS256', publicKey) &&
        typeof claims.exp === 'number' &&
        claims.exp > seconds &&
        claims.aud === 'https://oauth2.googleapis.com/token' &&
        String(claims.scope).includes('firebase.messaging')
      if (!valid) return json(400, { error: 'invalid_grant', error_description: 'Invalid JWT Signature.' })
      const token = `ya29.simulated.${randomBytes(24).toString('base64url')}`
      access.set(token, seconds + TOKEN_SECONDS)
      counters.tokensIssued++
      return json(200, { access_token: token, expires_in: TOKEN_SECONDS, token_type: 'Bearer' })
    },
    authorised({ headers }) {
      const { authorization } = headers
      if (!authorization?.startsWith('Bearer ')) return false
      return (access.get(authorization.slice(7)) ?? 0) >= now() / 1000
    },
    revoke: () => access.clear(),
    save: () => ({ credentials, publicKey: pem, access: [...access] }),
  }
}

async function makeAccount(): Promise<SavedAccount> {
  const pair = await promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  const credentials = {
    type: 'service_account',
    project_id: PROJECT,
    private_key_id: randomBytes(20).toString('hex'),
    private_key: pair.privateKey,
    client_email: `simulated@${PROJECT}.iam.gserviceaccount.com`,
    token_uri: 'https://oauth2.googleapis.com/token',
  }
  return { credentials, publicKey: pair.publicKey, access: [] }
}
