import type { Readable } from 'node:stream'
import { createTransport } from 'nodemailer'
import { ChannelError } from '../errors.js'
import { fitTo } from '../fit.js'
import { createInFlight } from '../in-flight.js'
import { isExpired } from '../lifetime.js'
import type { Outgoing, OutgoingTo } from '../message.js'
import { sendEach, wrongAddress } from '../send-each.js'
import type { Sender } from '../sender.js'
import { type ChannelSettings, timeoutsOf } from '../settings.js'
import type { Verdict } from '../verdict.js'
import { isHidden, SILENT_NOT_POSSIBLE } from '../visibility.js'
import { isMailAddress, readSmtpCredentials } from './credentials.js'
import { SMTP_MAX_BYTES, smtpMeasured, smtpPayload } from './payload.js'
import { readSmtpFailure, smtpConnection } from './transport.js'
import { smtpVerdict } from './verdict.js'

const CONNECTIONS = 5
const MAILS_PER_CONNECTION = 100
/** Signed so that one-click unsubscribe can be trusted (RFC 8058 §4 wants both List headers in the signature). */
const DKIM_HEADERS =
  'from:sender:reply-to:subject:date:message-id:to:cc:mime-version:content-type:references:list-unsubscribe:list-unsubscribe-post'

/** E-mail through nodemailer's pool, one recipient a mail, nothing tried twice. */
export function openSmtpSender(value: unknown, settings: ChannelSettings): Sender {
  const credentials = readSmtpCredentials(value)
  const timeouts = timeoutsOf(settings)
  const inFlight = createInFlight()
  const { dkim } = credentials
  const pool = createTransport({
    ...smtpConnection(credentials, settings),
    pool: true,
    maxConnections: CONNECTIONS,
    maxMessages: MAILS_PER_CONNECTION,
    // A closed connection is a verdict; the pool would take it upon itself to try again.
    maxRequeues: 0,
    ...(dkim === undefined ? {} : { dkim: { ...dkim, headerFieldNames: DKIM_HEADERS } }),
  })

  pool.use('stream', (mail, callback) => {
    watchContent(mail)
    callback()
  })

  const one = async (outgoing: Outgoing, signal: AbortSignal): Promise<Verdict> => {
    if (outgoing.address.kind !== 'email') return wrongAddress(outgoing, 'smtp')
    if (isExpired(outgoing.message, Date.now())) return { kind: 'message', reason: 'EXPIRED' }
    if (isHidden(outgoing.message)) return { kind: 'message', reason: SILENT_NOT_POSSIBLE }
    if (!isMailAddress(outgoing.address.email)) return { kind: 'address', reason: 'INVALID_ADDRESS' }
    const to = outgoing as OutgoingTo<'email'>
    const progress: Progress = { contentBegun: false }
    try {
      const fitted = fitTo(to, SMTP_MAX_BYTES, (candidate) =>
        smtpMeasured(smtpPayload(candidate, credentials)),
      )
      const mail = Object.assign(smtpPayload({ ...to, message: fitted.message }, credentials), {
        [PROGRESS]: progress,
        // Takes it out of the pool's queue, or its connection down, so that nothing leaves after its verdict.
        signal,
      })
      const sent = await pool.sendMail(mail)
      return { kind: 'accepted', providerId: sent.response.slice(0, 200) }
    } catch (error) {
      if (error instanceof ChannelError && error.code !== 'EGRESS_REFUSED')
        return { kind: 'message', reason: error.code }
      return smtpVerdict(readSmtpFailure(error, progress.contentBegun))
    }
  }

  let disposed: Promise<void> | undefined
  return {
    provider: 'smtp',
    send: (batch, signal) =>
      inFlight.run(() =>
        sendEach(batch, { signal, batchMs: timeouts.batchMs, concurrency: 4 * CONNECTIONS }, one),
      ),
    [Symbol.asyncDispose]() {
      disposed ??= inFlight.idle().then(() => pool.close())
      return disposed
    },
  }
}

/** Where a mail's data carries how far it came. */
const PROGRESS = 'carillonProgress'

interface Progress {
  contentBegun: boolean
}

/**
 * Notes when the server begins to get the content. A connection lost before that can't have delivered anything; the
 * library's error looks the same on both sides of it. The content flows when the server answered DATA with 354.
 */
function watchContent(mail: { data: object; message: { createReadStream(): Readable } }): void {
  const progress = (mail.data as Record<string, unknown>)[PROGRESS] as Progress | undefined
  const create = mail.message.createReadStream.bind(mail.message)
  mail.message.createReadStream = () => {
    const content = create()
    content.once('resume', () => {
      if (progress) progress.contentBegun = true
    })
    return content
  }
}
