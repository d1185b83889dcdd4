import { createHmac, timingSafeEqual } from 'node:crypto'
import { ChannelError } from './errors.js'

/** What a device may acknowledge. `expiresAt` in milliseconds; the token keeps whole seconds. */
export interface ReceiptClaims {
  tenant: string
  notificationId: string
  deliveryId: string
  expiresAt: number
}

const MAC_BYTES = 16
const ID_BYTES = 16
const EXPIRY_BYTES = 4
const FIXED_BYTES = EXPIRY_BYTES + 2 * ID_BYTES
const MAX_TOKEN_CHARS = 256
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/**
 * A short token that says "a device may acknowledge this delivery": expiry (4 bytes, seconds), both ids (16 each),
 * tenant (UTF-8), HMAC-SHA256 cut to 16 bytes; base64url, 70 characters plus the tenant. It is self-contained:
 * whoever holds the key needs no other input. Ids are UUIDs. Stateless, so it can be used again until it expires.
 */
export function signReceiptToken(key: Buffer, claims: ReceiptClaims): string {
  const body = Buffer.alloc(FIXED_BYTES + Buffer.byteLength(claims.tenant))
  body.writeUInt32BE(Math.ceil(claims.expiresAt / 1000), 0)
  idBytes(claims.notificationId).copy(body, EXPIRY_BYTES)
  idBytes(claims.deliveryId).copy(body, EXPIRY_BYTES + ID_BYTES)
  body.write(claims.tenant, FIXED_BYTES, 'utf8')
  return Buffer.concat([body, mac(key, body)]).toString('base64url')
}

/**
 * The claims of a token. Pass every key that is alive, newest first.
 * @throws ChannelError `RECEIPT_TOKEN_INVALID`, without saying which part is wrong except expiry
 */
export function verifyReceiptToken(
  keys: Buffer | readonly Buffer[],
  token: string,
  nowMs: number = Date.now(),
): ReceiptClaims {
  const bytes = token.length <= MAX_TOKEN_CHARS ? Buffer.from(token, 'base64url') : Buffer.alloc(0)
  if (bytes.length <= FIXED_BYTES + MAC_BYTES) throw invalid('The receipt token is not valid.')
  const body = bytes.subarray(0, -MAC_BYTES)
  const given = bytes.subarray(-MAC_BYTES)
  const candidates = Buffer.isBuffer(keys) ? [keys] : keys
  if (!candidates.some((key) => timingSafeEqual(mac(key, body), given))) {
    throw invalid('The receipt token is not valid.')
  }
  const expiresAt = body.readUInt32BE(0) * 1000
  if (nowMs > expiresAt) throw invalid('The receipt token has expired.')
  return {
    tenant: body.toString('utf8', FIXED_BYTES),
    notificationId: idText(body.subarray(EXPIRY_BYTES, EXPIRY_BYTES + ID_BYTES)),
    deliveryId: idText(body.subarray(EXPIRY_BYTES + ID_BYTES, FIXED_BYTES)),
    expiresAt,
  }
}

function mac(key: Buffer, body: Buffer): Buffer {
  return createHmac('sha256', key).update('carillon receipt 1').update(body).digest().subarray(0, MAC_BYTES)
}

function idBytes(id: string): Buffer {
  if (!UUID.test(id)) throw new Error(`A receipt token is made for UUIDs; "${id.slice(0, 40)}" is none.`)
  return Buffer.from(id.replaceAll('-', ''), 'hex')
}

function idText(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

function invalid(message: string): ChannelError {
  return new ChannelError('RECEIPT_TOKEN_INVALID', message)
}
