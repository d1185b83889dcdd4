import { createTransport } from 'nodemailer'
import { type CredentialCheck, fromVerdict, LET_IN, notNow, wrong } from './check-credentials-outcome.js'
import { createEgressAgent } from './egress/agent.js'
import { createEgressGuard } from './egress/guard.js'
import { post } from './egress/post.js'
import { type ChannelSettings, timeoutsOf } from './settings.js'
import { readSmsCredentials } from './sms/credentials.js'
import { smsVerdict } from './sms/verdict.js'
import { readSmtpCredentials } from './smtp/credentials.js'
import { readSmtpFailure, smtpConnection } from './smtp/transport.js'
import { smtpVerdict } from './smtp/verdict.js'

const MAX_ANSWER_BYTES = 16_384

const SMTP_REMEDIES = {
  EGRESS_REFUSED:
    'host leads to an address that may not be reached from here. Private mail servers are reached where CARILLON_MAIL_RELAYS=private is set.',
  TLS_FAILED:
    'The server offers no TLS on this port, or its certificate is not for this host name. Compare host, port and secure.',
}
const SMTP_OTHERWISE =
  'The server refuses us. Compare host, port, user and password, and see whether it takes mail from this machine.'
const SMS_REMEDIES = {
  TWILIO_20003: 'The account or its token is wrong. Compare accountSid and authToken with the console.',
  TWILIO_20005: 'The account is not active. Ask the provider.',
  TWILIO_20404: 'There is no such account at this address. Compare accountSid and baseUrl.',
  URL_REFUSED: 'baseUrl leads to an address that may not be reached from here.',
}

/** Connects, secures the line and logs in, as for a mail, then leaves. */
export async function trySmtp(value: unknown, settings: ChannelSettings): Promise<CredentialCheck> {
  const credentials = readSmtpCredentials(value)
  const transport = createTransport(smtpConnection(credentials, settings))
  try {
    await transport.verify()
    return LET_IN
  } catch (error) {
    const verdict = smtpVerdict(readSmtpFailure(error, false))
    return fromVerdict(verdict, SMTP_REMEDIES, SMTP_OTHERWISE)
  } finally {
    transport.close()
  }
}

/** Reads the account, which costs nothing and sends nothing. */
export async function trySms(
  value: unknown,
  settings: ChannelSettings,
  signal: AbortSignal,
): Promise<CredentialCheck> {
  const { accountSid, authToken, baseUrl } = readSmsCredentials(value)
  const timeouts = timeoutsOf(settings)
  const guard = createEgressGuard({ allowPrivate: settings.allowPrivateEgress ?? false })
  const agent = createEgressAgent({ guard, timeouts, ca: settings.ca, connections: 1 })
  try {
    const outcome = await post({
      url: guard.check(`${baseUrl}/2010-04-01/Accounts/${accountSid}.json`).href,
      method: 'GET',
      headers: {
        authorization: `Basic ${Buffer.from(`${accountSid}:${authToken}`).toString('base64')}`,
        accept: 'application/json',
      },
      body: null,
      dispatcher: agent,
      signal,
      timeoutMs: timeouts.requestMs,
      maxAnswerBytes: MAX_ANSWER_BYTES,
    })
    const verdict = smsVerdict(outcome, Date.now())
    if (verdict.kind !== 'accepted' || outcome.kind !== 'answer') {
      return fromVerdict(
        verdict,
        SMS_REMEDIES,
        'The provider refuses this account. Compare accountSid and baseUrl.',
      )
    }
    const status = accountStatus(outcome.text)
    if (status === undefined) return notNow('UNREADABLE_ANSWER')
    return status === 'active'
      ? LET_IN
      : wrong('ACCOUNT_NOT_ACTIVE', `The provider says that this account is ${status}.`)
  } finally {
    await agent.destroy()
  }
}

function accountStatus(text: string): string | undefined {
  try {
    const { status } = (JSON.parse(text) ?? {}) as Record<string, unknown>
    return typeof status === 'string' ? status.slice(0, 40) : undefined
  } catch {
    // a proxy's page: not the provider's word
    return undefined
  }
}
