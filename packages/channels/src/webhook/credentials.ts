import { readCredentials } from '../credentials-fields.js'

/** Webhook secrets belong to each address; what is set for a tenant is only how it introduces itself. */
export interface WebhookCredentials {
  userAgent: string
}

/** Reads `{userAgent?}`; nothing at all is fine. @throws ChannelError `CREDENTIALS_INVALID` */
export function readWebhookCredentials(value: unknown): WebhookCredentials {
  return readCredentials('webhook', value ?? {}, (fields) => {
    const userAgent = fields.optionalText('userAgent') ?? 'Carillon-Webhooks/1'
    if (!/^[\x20-\x7e]{1,200}$/.test(userAgent)) fields.refuse('userAgent', 'must be printable ASCII')
    return { userAgent }
  })
}
