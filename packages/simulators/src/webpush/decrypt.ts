import { createDecipheriv, type ECDH, hkdfSync } from 'node:crypto'

const HEADER_BYTES = 21
const TAG_BYTES = 16
const LAST_RECORD = 2

/**
 * Decrypts an aes128gcm push body (RFC 8188, one record) with a subscription's keys (RFC 8291).
 * Undefined when it was not encrypted to them.
 */
export function decryptPush(keys: { ecdh: ECDH; auth: Buffer }, body: Buffer): string | undefined {
  try {
    const salt = body.subarray(0, 16)
    const keyLength = body[HEADER_BYTES - 1] ?? 0
    const sender = body.subarray(HEADER_BYTES, HEADER_BYTES + keyLength)
    const sealed = body.subarray(HEADER_BYTES + keyLength)
    const info = Buffer.concat([Buffer.from('WebPush: info\0'), keys.ecdh.getPublicKey(), sender])
    const secret = Buffer.from(hkdfSync('sha256', keys.ecdh.computeSecret(sender), keys.auth, info, 32))
    const derive = (label: string, bytes: number) =>
      Buffer.from(hkdfSync('sha256', secret, salt, label, bytes))
    const key = derive('Content-Encoding: aes128gcm\0', 16)
    const decipher = createDecipheriv('aes-128-gcm', key, derive('Content-Encoding: nonce\0', 12))
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
    const padded = Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()])
    const end = padded.lastIndexOf(LAST_RECORD)
    return end < 0 ? undefined : padded.subarray(0, end).toString('utf8')
  } catch {
    return undefined
  }
}
