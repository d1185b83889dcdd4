import { addressIn, printable } from './fields.js'
import type { Outcome } from './report.js'
import { causeOf, statusFromWords } from './status.js'

/** A mail without a part made for machines. */
export interface PlainMail {
  from: string
  /** True for the empty return path, with which servers write. */
  nullSender: boolean
  subject: string
  text: string
  /** `X-Failed-Recipients`, which Exim and Gmail set. */
  failedRecipients: string | undefined
}

const MAX_DIAGNOSTIC = 500
const DAEMON = /^(mailer-?daemon|mail-?daemon|postmaster|mmdf|microsoftexchange[0-9a-f]+)@/i
const FAILED =
  /undeliver|returned mail|failure notice|non-?delivery|delivery (status notification|failure|has failed|failed|problem)|mail (delivery (failed|failure|system|subsystem)|system error)|(not|n['’]t) be(en)? delivered|unzustellbar|nicht zugestellt/i
const DELAYED =
  /delayed|will (be retried|keep trying|continue|try again)|still (trying|being retried)|warning message only|no(t| action is)? (need to resend|required on your part)/i
/** A line that begins with the recipient. */
const RECIPIENT = /^[ \t]*<?([^\s<>:]{1,64}@[^\s<>:]{1,255})>?(?:[:\s].*)?$/m
/** Where the returned mail begins; what stands behind it is not the server's word. */
const RETURNED =
  /^(-{2,} ?(this is a copy|below this line|original message|the body of the message)|return-path:|received:|--- ?(enclosed|undelivered))/im

/** A bounce or delay told in words, as qmail, old Exim and old Exchange do; undefined for every other mail. */
export function readPlainBounce(mail: PlainMail): Outcome | undefined {
  const failed = mail.failedRecipients !== undefined || FAILED.test(mail.subject)
  const titled = failed || DELAYED.test(mail.subject)
  const end = RETURNED.exec(mail.text)?.index ?? mail.text.length
  const said = mail.text.slice(0, end)
  const isDaemon = mail.failedRecipients !== undefined || DAEMON.test(mail.from)
  // robots of people write with the empty return path too, and about mails that can't be delivered until Monday
  if (isDaemon ? !titled && !FAILED.test(said) : !(mail.nullSender && titled)) return undefined
  const status = statusFromWords(said)
  const diagnostic = printable(lineWithStatus(said), MAX_DIAGNOSTIC)
  const recipient = addressIn(mail.failedRecipients) ?? addressIn(RECIPIENT.exec(said)?.[1])
  const about = { diagnostic, ...(recipient === undefined ? {} : { recipient }) }
  if (isDelay(mail.subject, said, status)) {
    return { kind: 'delayed', status: status?.startsWith('4') ? status : '4.0.0', ...about }
  }
  // A server that says no more than that it failed: counted, but no address is given up for it.
  if (status === undefined)
    return { kind: 'bounce', permanent: false, cause: 'unavailable', status: '5.0.0', ...about }
  const cause = causeOf(status, said)
  const permanent = status.startsWith('5') && cause !== 'unavailable'
  return { kind: 'bounce', permanent, cause, status, ...about }
}

function isDelay(subject: string, said: string, status: string | undefined): boolean {
  if (status?.startsWith('5')) return false
  return DELAYED.test(subject) || (!FAILED.test(subject) && DELAYED.test(said))
}

/** The line that carries the reason: the first with a reply code or a status, else the first with words. */
function lineWithStatus(text: string): string {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '')
  return lines.find((line) => statusFromWords(line) !== undefined) ?? lines[0] ?? ''
}
