import type { Verdict } from '../verdict.js'

/** What nodemailer says about a failed mail. */
export interface SmtpFailure {
  /** ECONNECTION, EAUTH, EENVELOPE, …; EGRESS_REFUSED where we would not dial. */
  code: string
  /** The code of the system's or TLS's own error behind it, like CERT_HAS_EXPIRED; empty without one. */
  systemCode: string
  /** The server's three digits, if it answered. */
  responseCode: number | undefined
  /** The command that failed: CONN, EHLO, STARTTLS, AUTH PLAIN, MAIL FROM, RCPT TO, DATA. */
  command: string
  /** True once the server was getting the mail itself. */
  contentBegun: boolean
  /** The server's line, for the enhanced status code in it. */
  response: string
}

/** Mails that the library refuses to make: an address, a text or a stream that is none, a file or URL in their place. */
const NEVER_SENT = new Set(['EENVELOPE', 'EMESSAGE', 'ESTREAM', 'EFILEACCESS', 'EURLACCESS'])
const GREYLIST_WAIT_MS = 60_000
const OUTAGE_WAIT_MS = 30_000

/**
 * A mail server's refusal as a verdict. The reply code and the command it answers decide; an enhanced status code
 * (RFC 3463) tells a full mailbox from a missing one.
 */
export function smtpVerdict(failure: SmtpFailure): Verdict {
  const { code, responseCode, command, response } = failure
  if (code === 'EGRESS_REFUSED') return { kind: 'config', reason: code }
  if (isTlsCode(failure.systemCode)) return { kind: 'config', reason: 'TLS_FAILED' }
  const enhanced = /\b([245]\.\d{1,3}\.\d{1,3})\b/.exec(response)?.[1] ?? ''
  const reason = responseCode === undefined ? code : `SMTP_${responseCode}${enhanced ? ` ${enhanced}` : ''}`
  if (code === 'EAUTH' || code === 'ENOAUTH' || responseCode === 530 || responseCode === 535) {
    // 454 and other 4xx on AUTH are the server's trouble, not the password's.
    return responseCode !== undefined && responseCode < 500
      ? { kind: 'retry', reason, afterMs: OUTAGE_WAIT_MS }
      : { kind: 'config', reason }
  }
  if (code === 'ETLS') {
    // 454 is the server's trouble of the day; a connection lost in the handshake tells nothing.
    return command === 'STARTTLS' && (responseCode === undefined || responseCode >= 500)
      ? { kind: 'config', reason: 'TLS_FAILED' }
      : { kind: 'retry', reason, afterMs: OUTAGE_WAIT_MS }
  }
  if (responseCode === undefined) return withoutAnswer(code, failure.contentBegun)
  if (responseCode < 500)
    return { kind: 'retry', reason, afterMs: responseCode === 421 ? OUTAGE_WAIT_MS : GREYLIST_WAIT_MS }
  return refused({ responseCode, enhanced, command, reason })
}

interface Refusal {
  responseCode: number
  enhanced: string
  command: string
  reason: string
}

/** A permanent refusal: of the sender, of the mailbox, or of this mail. */
function refused({ responseCode, enhanced, command, reason }: Refusal): Verdict {
  // Refused before any mail was named: this machine, or whoever we say we are.
  if (['CONN', 'EHLO', 'HELO'].includes(command)) return { kind: 'config', reason }
  const tooBig = enhanced === '5.3.4' || enhanced === '5.2.3'
  if (command === 'MAIL FROM' && responseCode !== 552 && !tooBig) return { kind: 'config', reason }
  const full = enhanced === '5.2.2' || (responseCode === 552 && command === 'RCPT TO' && enhanced === '')
  if (full) return { kind: 'address', reason, suspend: true }
  if (tooBig || /^5\.[67]\./.test(enhanced)) return { kind: 'message', reason }
  if (command === 'RCPT TO' && /^5\.1\.([0-6]|10)$/.test(enhanced)) return { kind: 'address', reason }
  if (responseCode === 552 || responseCode === 554) return { kind: 'message', reason }
  const ofMailbox = command === 'RCPT TO' || [550, 551, 553].includes(responseCode)
  return { kind: ofMailbox ? 'address' : 'message', reason }
}

/** Before its content nothing can have been delivered; from then on the server may have taken it. */
function withoutAnswer(code: string, contentBegun: boolean): Verdict {
  if (code === 'EABORT') {
    return contentBegun ? { kind: 'unknown', reason: 'DEADLINE' } : { kind: 'retry', reason: 'NOT_SENT' }
  }
  if (NEVER_SENT.has(code)) return { kind: 'message', reason: code }
  return contentBegun
    ? { kind: 'unknown', reason: code }
    : { kind: 'retry', reason: code, afterMs: OUTAGE_WAIT_MS }
}

/** True when the server's certificate was refused (not trusted, expired, for another name), or it speaks no TLS here. */
function isTlsCode(code: string): boolean {
  return /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|HOSTNAME_MISMATCH|WRONG_VERSION_NUMBER/.test(code)
}
