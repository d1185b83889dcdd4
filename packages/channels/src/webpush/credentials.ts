import { readCredentials } from '../credentials-fields.js'

/** VAPID: who sends. Keys as base64url of the raw P-256 point (65 bytes) and scalar (32 bytes). */
export interface WebPushCredentials {
  subject: string
  publicKey: string
  privateKey: string
}

/** Reads `{subject, publicKey, privateKey}`. @throws ChannelError `CREDENTIALS_INVALID` */
export function readWebPushCredentials(value: unknown): WebPushCredentials {
  return readCredentials('webpush', value, (fields) => {
    const credentials = {
      subject: fields.text('subject'),
      publicKey: fields.text('publicKey'),
      privateKey: fields.text('privateKey'),
    }
    // Apple answers 403 to a subject it can't reach.
    if (!/^(mailto:[^\s<>@]+@[^\s<>@]+|https:\/\/(?!localhost)[^\s<>]+)$/.test(credentials.subject)) {
      fields.refuse(
        'subject',
        'must be a mailto: or https: address that can be reached, without spaces or brackets',
      )
    }
    if (Buffer.from(credentials.publicKey, 'base64url').length !== 65) {
      fields.refuse('publicKey', 'must be 65 bytes in base64url')
    }
    if (Buffer.from(credentials.privateKey, 'base64url').length !== 32) {
      fields.refuse('privateKey', 'must be 32 bytes in base64url')
    }
    return credentials
  })
}
