import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto'
import { ChannelError } from './errors.js'

/** What sealed credentials are bound to: they open for this tenant and provider only. */
export interface SealContext {
  tenant: string
  provider: string
}

const VERSION = 1
const KEY_ID_BYTES = 8
const NONCE_BYTES = 12
const TAG_BYTES = 16
const HEADER_BYTES = 1 + KEY_ID_BYTES + NONCE_BYTES

/** Names a master key without telling anything about it: the first 8 bytes of an HMAC under it. */
export function masterKeyId(masterKey: Buffer): Buffer {
  assertMasterKey(masterKey)
  return createHmac('sha256', masterKey).update('carillon master key id').digest().subarray(0, KEY_ID_BYTES)
}

/**
 * Encrypts credentials for storage: AES-256-GCM with a fresh nonce, bound to tenant and provider.
 * Layout: version (1), key id (8), nonce (12), ciphertext of the JSON, tag (16).
 * `masterKey` is 32 random bytes.
 */
export function sealCredentials(masterKey: Buffer, value: unknown, context: SealContext): Buffer {
  const keyId = masterKeyId(masterKey)
  const nonce = randomBytes(NONCE_BYTES)
  const header = Buffer.concat([Buffer.from([VERSION]), keyId, nonce])
  const cipher = createCipheriv('aes-256-gcm', masterKey, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(boundTo(context, header))
  const sealed = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()])
  return Buffer.concat([header, sealed, cipher.getAuthTag()])
}

/**
 * Opens what `sealCredentials` made. Pass every master key that is alive; the one whose id stands in the sealed
 * bytes is used, so keys can be rotated.
 * @throws ChannelError `CREDENTIALS_SEALED`
 */
export function openCredentials(
  masterKeys: Buffer | readonly Buffer[],
  sealed: Uint8Array,
  context: SealContext,
): unknown {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength)
  if (bytes.length < HEADER_BYTES + TAG_BYTES || bytes[0] !== VERSION) {
    throw new ChannelError('CREDENTIALS_SEALED', 'These bytes are not sealed credentials of a known version.')
  }
  const header = bytes.subarray(0, HEADER_BYTES)
  const keyId = bytes.subarray(1, 1 + KEY_ID_BYTES)
  const keys = Buffer.isBuffer(masterKeys) ? [masterKeys] : masterKeys
  const masterKey = keys.find((key) => masterKeyId(key).equals(keyId))
  if (!masterKey) {
    throw new ChannelError(
      'CREDENTIALS_SEALED',
      `No master key with id ${keyId.toString('hex')} is configured.`,
    )
  }
  const decipher = createDecipheriv('aes-256-gcm', masterKey, header.subarray(1 + KEY_ID_BYTES), {
    authTagLength: TAG_BYTES,
  })
  decipher.setAAD(boundTo(context, header))
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
  try {
    const text = Buffer.concat([decipher.update(bytes.subarray(HEADER_BYTES, -TAG_BYTES)), decipher.final()])
    return JSON.parse(text.toString('utf8'))
  } catch (cause) {
    throw new ChannelError(
      'CREDENTIALS_SEALED',
      'The sealed credentials were changed, or belong to another tenant or provider.',
      { cause },
    )
  }
}

/** Additional data of the encryption. Each part carries its length, so no two contexts look alike. */
function boundTo(context: SealContext, header: Buffer): Buffer {
  const { tenant, provider } = context
  return Buffer.concat([header, Buffer.from(`${tenant.length}:${tenant}${provider.length}:${provider}`)])
}

function assertMasterKey(masterKey: Buffer): void {
  if (masterKey.length !== 32) throw new Error(`A master key has 32 bytes; this one has ${masterKey.length}.`)
}
