import { type KeyObject, verify } from 'node:crypto'
import { parseRecord } from './inbox.js'

export interface SignedToken {
  header: Record<string, unknown>
  claims: Record<string, unknown>
}

/** A compact JWS taken apart without looking at its signature; undefined when it is none. */
export function readJwt(token: string): SignedToken | undefined {
  const [header, claims, signature, ...more] = token.split('.')
  if (!header || !claims || !signature || more.length > 0) return undefined
  const part = (text: string) => parseRecord(Buffer.from(text, 'base64url').toString('utf8'))
  return { header: part(header), claims: part(claims) }
}

/** True when the signature is the key's, for RS256 or ES256. */
export function verifyJwt(token: string, algorithm: 'RS256' | 'ES256', key: KeyObject): boolean {
  const cut = token.lastIndexOf('.')
  const signed = Buffer.from(token.slice(0, cut))
  const signature = Buffer.from(token.slice(cut + 1), 'base64url')
  if (readJwt(token)?.header.alg !== algorithm) return false
  const options = algorithm === 'ES256' ? { key, dsaEncoding: 'ieee-p1363' as const } : { key }
  return verify('sha256', signed, options, signature)
}
