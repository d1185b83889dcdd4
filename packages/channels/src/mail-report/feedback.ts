import { addressIn, fieldBlocks, printable } from './fields.js'

/** What a `message/feedback-report` part (RFC 5965) tells. */
export interface Feedback {
  feedbackType: string
  recipient?: string
}

/** Reports that nobody pressed a button for: a mail that was no spam after all, a failed DKIM or SPF check. */
const NO_COMPLAINT = new Set(['not-spam', 'auth-failure', 'dmarc'])

/** A complaint; undefined for reports of another sense and parts that say nothing. */
export function readFeedback(text: string): Feedback | undefined {
  const [fields] = fieldBlocks(text)
  const feedbackType = printable(fields?.get('feedback-type') ?? '', 40).toLowerCase()
  if (fields === undefined || feedbackType === '' || NO_COMPLAINT.has(feedbackType)) return undefined
  const recipient = addressIn(fields.get('original-rcpt-to')) ?? addressIn(fields.get('removal-recipient'))
  return { feedbackType, ...(recipient === undefined ? {} : { recipient }) }
}
