import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

/** Whose mail came back. Ids are UUIDs; the delivery's carries its run's time (48 bits in front). */
export interface BounceClaims {
  tenant: string
  notificationId: string
  deliveryId: string
}

/** What a bounce address proves. The tenant stands in it as `tenantMark`. */
export interface BouncedDelivery {
  tenantMark: string
  notificationId: string
  deliveryId: string
}

const TIME_BYTES = 6
const REST_BYTES = 10
const MARK_BYTES = 5
const MAC_BYTES = 8
const BODY_BYTES = TIME_BYTES + 2 * REST_BYTES + MARK_BYTES
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'
const LOCAL_PART = /^b[a-z2-7]{63}$/
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/**
 * The part before the `@` to which a mail of this delivery comes back (VERP). Anybody may write to it, so it is
 * signed: `b`, then in base32 the time that both ids share (6 bytes), the rest of the run's and the delivery's id (10
 * each), a mark of the tenant (5), HMAC-SHA256 cut to 8 bytes. 64 characters, which is all that RFC 5321 §4.5.3.1.1
 * allows; a relay may change their case.
 */
export function bounceLocalPart(key: Buffer, claims: BounceClaims): string {
  const run = idBytes(claims.notificationId)
  const delivery = idBytes(claims.deliveryId)
  if (!run.subarray(0, TIME_BYTES).equals(delivery.subarray(0, TIME_BYTES))) {
    throw new Error('A bounce address is made for a delivery that carries the time of its run.')
  }
  const mark = Buffer.from(tenantMark(claims.tenant), 'hex')
  const body = Buffer.concat([run, delivery.subarray(TIME_BYTES), mark])
  return `b${toBase32(Buffer.concat([body, mac(key, body)]))}`
}

/**
 * The delivery that an address names, in any case and with any domain; undefined for every other address and every
 * one that was changed. Pass every key that is alive. The tenant's id is the one with this `tenantMark`.
 */
export function readBounceAddress(
  keys: Buffer | readonly Buffer[],
  address: string,
): BouncedDelivery | undefined {
  const bytes = bytesOf(address)
  if (bytes === undefined) return undefined
  const body = bytes.subarray(0, BODY_BYTES)
  const given = bytes.subarray(BODY_BYTES)
  const candidates = Buffer.isBuffer(keys) ? [keys] : keys
  return candidates.some((key) => timingSafeEqual(mac(key, body), given)) ? claimsOf(body) : undefined
}

/** What an address claims, unproven: for showing, never for acting upon. */
export function claimedBounce(address: string): BouncedDelivery | undefined {
  const bytes = bytesOf(address)
  return bytes && claimsOf(bytes.subarray(0, BODY_BYTES))
}

/** Ten hexadecimal digits that stand for a tenant in bounce addresses: the front of the SHA-256 of its id. */
export function tenantMark(tenant: string): string {
  return createHash('sha256')
    .update(`carillon tenant ${tenant}`)
    .digest('hex')
    .slice(0, 2 * MARK_BYTES)
}

function bytesOf(address: string): Buffer | undefined {
  const local = address.slice(0, 65).split('@')[0]?.toLowerCase() ?? ''
  if (!LOCAL_PART.test(local)) return undefined
  const bytes = fromBase32(local.slice(1))
  // 63 characters hold 3 bits more than the bytes; an address with any of them set is not one of ours
  return toBase32(bytes) === local.slice(1) ? bytes : undefined
}

function claimsOf(body: Buffer): BouncedDelivery {
  const runEnd = TIME_BYTES + REST_BYTES
  const deliveryEnd = runEnd + REST_BYTES
  return {
    tenantMark: body.toString('hex', deliveryEnd),
    notificationId: idText(body.subarray(0, runEnd)),
    deliveryId: idText(Buffer.concat([body.subarray(0, TIME_BYTES), body.subarray(runEnd, deliveryEnd)])),
  }
}

function mac(key: Buffer, body: Buffer): Buffer {
  return createHmac('sha256', key).update('carillon bounce 1').update(body).digest().subarray(0, MAC_BYTES)
}

function toBase32(bytes: Buffer): string {
  let text = ''
  let bits = 0
  let held = 0
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xfff
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += ALPHABET[(held >> bits) & 31]
    }
  }
  return bits > 0 ? text + ALPHABET[(held << (5 - bits)) & 31] : text
}

function fromBase32(text: string): Buffer {
  const bytes: number[] = []
  let bits = 0
  let held = 0
  for (const letter of text) {
    held = ((held << 5) | ALPHABET.indexOf(letter)) & 0xfff
    bits += 5
    if (bits >= 8) {
      bits -= 8
      bytes.push((held >> bits) & 255)
    }
  }
  return Buffer.from(bytes)
}

function idBytes(id: string): Buffer {
  if (!UUID.test(id)) throw new Error(`A bounce address is made for UUIDs; "${id.slice(0, 40)}" is none.`)
  return Buffer.from(id.replaceAll('-', ''), 'hex')
}

function idText(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
