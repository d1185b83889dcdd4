import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

/** Only the session opens it again: who reads the tickets' store can't use the tokens in it. */
export function sealToken(token: string, session: string): string {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', keyOf(session), nonce)
  const sealed = [nonce, cipher.update(token, 'utf8'), cipher.final()]
  return Buffer.concat([...sealed, cipher.getAuthTag()]).toString('base64url')
}

/** The token again, or undefined when it was sealed for another session, or is none. */
export function openToken(sealed: string, session: string): string | undefined {
  const bytes = Buffer.from(sealed, 'base64url')
  if (bytes.length < 28) return undefined
  const decipher = createDecipheriv('aes-256-gcm', keyOf(session), bytes.subarray(0, 12))
  decipher.setAuthTag(bytes.subarray(-16))
  try {
    return Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]).toString('utf8')
  } catch {
    return undefined
  }
}

function keyOf(session: string): Buffer {
  return Buffer.from(hkdfSync('sha256', session, '', 'carillon sse ticket', 32))
}
