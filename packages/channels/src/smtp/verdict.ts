import type { Verdict } from '../verdict.js'

/** What nodemailer says about a failed mail. */
export interface SmtpFailure {
  /** ECONNECTION, EAUTH, EENVELOPE, … */
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

const GREYLIST_WAIT_MS = 60_000
const OUTAGE_WAIT_MS = 30_000

/**
 * A mail server's refusal as a verdict. The reply code and the command it answers decide; an enhanced status code
 * (RFC 3463) tells a full mailbox from a missing one.
 */
export function smtpVerdict(failure: SmtpFailure): Verdict {
  const { code, responseCode, command, response } = failure
  if (isCertificateCode(failure.systemCode)) return { kind: 'config', reason: 'TLS_FAILED' }
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
  if (command === 'MAIL FROM') return { kind: 'config', reason }
  if (responseCode === 552 || responseCode === 554 || /^5\.[67]\./.test(enhanced)) {
    return enhanced === '5.2.2' ? { kind: 'address', reason, suspend: true } : { kind: 'message', reason }
  }
  if (command === 'RCPT TO' || responseCode === 550 || responseCode === 551 || responseCode === 553) {
    return enhanced === '5.2.2' ? { kind: 'address', reason, suspend: true } : { kind: 'address', reason }
  }
  return { kind: 'message', reason }
}

/** Before its content nothing can have been delivered; from then on the server may have taken it. */
function withoutAnswer(code: string, contentBegun: boolean): Verdict {
  if (code === 'EENVELOPE' || code === 'EMESSAGE' || code === 'ESTREAM')
    return { kind: 'message', reason: code }
  return contentBegun
    ? { kind: 'unknown', reason: code }
    : { kind: 'retry', reason: code, afterMs: OUTAGE_WAIT_MS }
}

/** True when the server's certificate was refused: not trusted, expired, for another name. */
function isCertificateCode(code: string): boolean {
  return /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|HOSTNAME_MISMATCH/.test(code)
}
