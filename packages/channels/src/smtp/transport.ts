import { trustedContext } from '../egress/agent.js'
import { type ChannelSettings, timeoutsOf } from '../settings.js'
import type { SmtpCredentials } from './credentials.js'
import { guardedDial } from './dial.js'
import type { SmtpFailure } from './verdict.js'

/** How a submission server is dialled: guarded, TLS demanded unless it was renounced, every wait bounded. */
export function smtpConnection(credentials: SmtpCredentials, settings: ChannelSettings) {
  const timeouts = timeoutsOf(settings)
  const tls = trustedContext(settings.ca)
  const { host, port, secure, user, password } = credentials
  return {
    getSocket: guardedDial({ host, port, secure, connectMs: timeouts.connectMs, tls: tls ?? {} }, settings),
    host,
    port,
    secure,
    requireTLS: !secure && !credentials.plaintext,
    ignoreTLS: credentials.plaintext,
    connectionTimeout: timeouts.connectMs,
    greetingTimeout: timeouts.connectMs,
    dnsTimeout: timeouts.connectMs,
    socketTimeout: timeouts.requestMs,
    ...(tls ? { tls } : {}),
    ...(user === undefined ? {} : { auth: { user, pass: password ?? '' } }),
  }
}

/** What nodemailer threw, in the fields that decide. */
export function readSmtpFailure(error: unknown, contentBegun: boolean): SmtpFailure {
  const fields = typeof error === 'object' && error !== null ? (error as Record<string, unknown>) : {}
  const text = (name: string) => (typeof fields[name] === 'string' ? fields[name] : '')
  return {
    code: text('code') || 'UNKNOWN',
    systemCode: text('originalCode'),
    responseCode: typeof fields.responseCode === 'number' ? fields.responseCode : undefined,
    command: text('command'),
    contentBegun,
    response: text('response'),
  }
}
