import { createPublicKey } from 'node:crypto'
import type { Outcome } from '../https-server.js'
import { readJwt, verifyJwt } from '../jwt.js'

const MAX_AGE_SECONDS = 86_400
const MAX_REMEMBERED = 10_000

/** A header whose signature and claims are good until `expires` (seconds), and the key that signed it. */
interface Signed {
  key: string
  expires: number
}

/** Checks VAPID headers (RFC 8292), each one's signature once. */
export interface VapidChecks {
  /** Why the header is refused for a subscription with that key, as push services answer. */
  refuse(authorization: string | undefined, key: string): Outcome | undefined
}

export function createVapidChecks(options: {
  origin(): string
  now: () => number
  seen: Set<string>
}): VapidChecks {
  const good = new Map<string, Signed>()

  const check = (authorization: string | undefined): Signed | Outcome => {
    const parts = /^vapid\s+t=([\w.-]+),\s*k=([\w-]+)$/i.exec(authorization ?? '')
    const [, jwt, key] = parts ?? []
    if (!jwt || !key) return { status: 401, body: 'missing or malformed VAPID authorization' }
    options.seen.add(jwt)
    const claims = readJwt(jwt)?.claims ?? {}
    const seconds = options.now() / 1000
    if (!isSignedBy(jwt, key)) return { status: 403, body: 'invalid VAPID signature' }
    const expires = Number(claims.exp)
    if (expires <= seconds) return { status: 401, body: 'VAPID token expired' }
    if (!(expires <= seconds + MAX_AGE_SECONDS))
      return { status: 403, body: 'VAPID exp is more than 24 hours ahead' }
    if (claims.aud !== options.origin()) return { status: 403, body: 'VAPID audience is wrong' }
    if (!/^(mailto:.+@|https:\/\/(?!localhost))/.test(String(claims.sub))) {
      return { status: 403, body: '{"reason":"BadJwtToken"}' }
    }
    return { key, expires }
  }
  return {
    refuse(authorization, key) {
      const known = good.get(authorization ?? '')
      const signed = known && known.expires > options.now() / 1000 ? known : check(authorization)
      if (typeof signed === 'string' || 'status' in signed) return signed
      if (signed !== known && authorization !== undefined) {
        if (good.size >= MAX_REMEMBERED) good.clear()
        good.set(authorization, signed)
      }
      return signed.key === key ? undefined : { status: 403, body: 'VAPID public key mismatch' }
    },
  }
}

function isSignedBy(jwt: string, key: string): boolean {
  const raw = Buffer.from(key, 'base64url')
  const x = raw.subarray(1, 33).toString('base64url')
  const y = raw.subarray(33, 65).toString('base64url')
  try {
    const publicKey = createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' })
    return verifyJwt(jwt, 'ES256', publicKey)
  } catch {
    // no point of the curve: nothing is signed with it
    return false
  }
}
