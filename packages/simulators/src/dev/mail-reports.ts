import type { SimulatedMessage } from '../inbox.js'
import { returnPathOf, sourceOf } from './mail-details.js'

/** What mail servers send back about a mail. */
export type MailReportKind = 'bounce' | 'complaint'

const BOUNDARY = 'carillon-simulated-report'

/** The report as the other mail server would write it, with CRLF. */
export function mailReport(kind: MailReportKind, mail: SimulatedMessage): string {
  const lines = kind === 'bounce' ? bounce(mail) : complaint(mail)
  return lines.join('\r\n')
}

/** A delivery status notification (RFC 3464): the mailbox does not exist. */
function bounce(mail: SimulatedMessage): string[] {
  const refusal = `550 5.1.1 <${mail.to}>: Recipient address rejected: User unknown`
  return report(mail, {
    from: 'MAILER-DAEMON@mx.simulated.example (Mail Delivery System)',
    subject: 'Undelivered Mail Returned to Sender',
    type: 'delivery-status',
    words: `I'm sorry to have to inform you that your message could not be delivered.\r\n\r\n<${mail.to}>: ${refusal}`,
    part: 'message/delivery-status',
    fields: [
      'Reporting-MTA: dns; mx.simulated.example',
      '',
      `Final-Recipient: rfc822; ${mail.to}`,
      'Action: failed',
      'Status: 5.1.1',
      `Diagnostic-Code: smtp; ${refusal}`,
    ],
  })
}

/** An abuse report (RFC 5965): the person marked it as spam. */
function complaint(mail: SimulatedMessage): string[] {
  return report(mail, {
    from: 'feedback@isp.simulated.example',
    subject: `FW: ${mail.title.replace(/[^\x20-\x7e]/g, '?')}`,
    type: 'feedback-report',
    words: 'This is an email abuse report.',
    part: 'message/feedback-report',
    fields: [
      'Feedback-Type: abuse',
      'User-Agent: CarillonSimulator/1.0',
      'Version: 1',
      `Original-Mail-From: <${returnPathOf(mail)}>`,
      `Original-Rcpt-To: <${mail.to}>`,
    ],
  })
}

interface ReportParts {
  from: string
  subject: string
  type: string
  words: string
  part: string
  fields: string[]
}

function report(mail: SimulatedMessage, { from, subject, type, words, part, fields }: ReportParts): string[] {
  const to = returnPathOf(mail)
  const [headers = ''] = sourceOf(mail).split('\r\n\r\n')
  return [
    'Return-Path: <>',
    `From: ${from}`,
    `To: ${to}`,
    `Subject: ${subject}`,
    'Auto-Submitted: auto-replied',
    'MIME-Version: 1.0',
    `Content-Type: multipart/report; report-type=${type}; boundary="${BOUNDARY}"`,
    '',
    `--${BOUNDARY}`,
    'Content-Type: text/plain; charset=us-ascii',
    '',
    words,
    '',
    `--${BOUNDARY}`,
    `Content-Type: ${part}`,
    '',
    ...fields,
    '',
    `--${BOUNDARY}`,
    'Content-Type: message/rfc822',
    '',
    `Return-Path: <${to}>`,
    headers,
    '',
    `--${BOUNDARY}--`,
    '',
  ]
}
