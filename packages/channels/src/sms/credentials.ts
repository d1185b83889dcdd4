import { readCredentials } from '../credentials-fields.js'

/** A Twilio account, or one of a provider that speaks Twilio's API, and who sends through it. */
export interface SmsCredentials {
  accountSid: string
  authToken: string
  /** A number, a short code or a name; or the service that picks a sender per country. */
  sender: { from: string } | { messagingServiceSid: string }
  /** Where the API is, without a slash at its end. */
  baseUrl: string
}

const TWILIO = 'https://api.twilio.com'

/**
 * Reads `{accountSid, authToken, from | messagingServiceSid, baseUrl?}`.
 * @throws ChannelError `CREDENTIALS_INVALID`
 */
export function readSmsCredentials(value: unknown): SmsCredentials {
  return readCredentials('sms', value, (fields) => {
    const accountSid = fields.text('accountSid')
    const authToken = fields.text('authToken')
    const from = fields.optionalText('from')
    const messagingServiceSid = fields.optionalText('messagingServiceSid')
    const baseUrl = (fields.optionalText('baseUrl') ?? TWILIO).replace(/\/+$/, '')
    if (!/^AC[0-9a-f]{32}$/i.test(accountSid))
      fields.refuse('accountSid', 'must be AC and 32 hexadecimal digits')
    if ((from === undefined) === (messagingServiceSid === undefined)) {
      fields.refuse('from', 'or messagingServiceSid must be given, and only one of them')
    }
    if (from !== undefined && !isSender(from)) {
      fields.refuse(
        'from',
        'must be a number like +4366012345, a short code or a name of at most 11 characters',
      )
    }
    if (messagingServiceSid !== undefined && !/^MG[0-9a-f]{32}$/i.test(messagingServiceSid)) {
      fields.refuse('messagingServiceSid', 'must be MG and 32 hexadecimal digits')
    }
    if (!URL.canParse(baseUrl) || new URL(baseUrl).protocol !== 'https:')
      fields.refuse('baseUrl', 'must be an https URL')
    const sender =
      messagingServiceSid === undefined ? { from: from ?? '' } : { messagingServiceSid: messagingServiceSid }
    return { accountSid, authToken, sender, baseUrl }
  })
}

/** True for a number as ITU-T E.164 writes it: a plus, the country code, at most 15 digits. */
export function isPhoneNumber(text: string): boolean {
  return /^\+[1-9]\d{6,14}$/.test(text)
}

function isSender(from: string): boolean {
  return isPhoneNumber(from) || /^\d{3,8}$/.test(from) || /^(?=.*[A-Za-z])[A-Za-z0-9 +_&-]{1,11}$/.test(from)
}
