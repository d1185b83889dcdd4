import { createHmac, timingSafeEqual } from 'node:crypto'
import { ChannelError } from './errors.js'

/** Whose mails of which category a link ends; without a category all mails. */
export interface UnsubscribeClaims {
  tenant: string
  /** Internal id. */
  userId: string
  category: string | null
}

const VERSION = 1
const MAC_BYTES = 16
const ID_BYTES = 16
const HEAD_BYTES = 2 + ID_BYTES
const MAX_TOKEN_CHARS = 400
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/**
 * The token of an unsubscribe link (RFC 8058): version and length of the tenant (1 byte each), user (16), tenant and
 * category (UTF-8), HMAC-SHA256 cut to 16 bytes; base64url. It never expires, since mails are kept for years, and lets
 * nobody do more than switch one thing off and on again.
 */
export function signUnsubscribeToken(key: Buffer, claims: UnsubscribeClaims): string {
  if (!UUID.test(claims.userId))
    throw new Error('An unsubscribe token is made for the internal id of a user.')
  const tenant = Buffer.from(claims.tenant)
  const body = Buffer.concat([
    Buffer.from([VERSION, tenant.length]),
    Buffer.from(claims.userId.replaceAll('-', ''), 'hex'),
    tenant,
    Buffer.from(claims.category ?? ''),
  ])
  return Buffer.concat([body, mac(key, body)]).toString('base64url')
}

/**
 * The claims of a token. Pass every key that is alive.
 * @throws ChannelError `UNSUBSCRIBE_TOKEN_INVALID`, without saying which part is wrong
 */
export function verifyUnsubscribeToken(keys: Buffer | readonly Buffer[], token: string): UnsubscribeClaims {
  const bytes = token.length <= MAX_TOKEN_CHARS ? Buffer.from(token, 'base64url') : Buffer.alloc(0)
  const body = bytes.subarray(0, -MAC_BYTES)
  const given = bytes.subarray(-MAC_BYTES)
  const candidates = Buffer.isBuffer(keys) ? [keys] : keys
  const tenantEnd = HEAD_BYTES + (body[1] ?? 0)
  if (
    body.length < tenantEnd ||
    body[0] !== VERSION ||
    !candidates.some((key) => timingSafeEqual(mac(key, body), given))
  ) {
    throw new ChannelError('UNSUBSCRIBE_TOKEN_INVALID', 'The unsubscribe link is not valid.')
  }
  const category = body.toString('utf8', tenantEnd)
  return {
    tenant: body.toString('utf8', HEAD_BYTES, tenantEnd),
    userId: body
      .toString('hex', 2, HEAD_BYTES)
      .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
    category: category === '' ? null : category,
  }
}

function mac(key: Buffer, body: Buffer): Buffer {
  return createHmac('sha256', key)
    .update('carillon unsubscribe 1')
    .update(body)
    .digest()
    .subarray(0, MAC_BYTES)
}
