import type { BounceCause } from './report.js'

const NO_MAILBOX =
  /user unknown|unknown (user|recipient|address|mailbox)|no such (user|mailbox|address|recipient|person)|no mailbox here|(does not|doesn['’]t) exist|(mailbox|address|recipient) (unavailable|not found|unknown|rejected)|(could not|couldn['’]t|cannot) be found|invalid (recipient|mailbox|address)|unrouteable address|domain name not found/i
const FULL =
  /(mailbox|inbox|quota|storage).{0,40}(full|exceed|over)|over ?quota|exceed.{0,30}quota|insufficient.{0,20}storage/i

/** Reply codes that speak of a mail; other numbers in a text are just numbers. */
const REPLY_CODE = /(?:^|[\s:;"'(<[])(4[25]\d|5[0-7]\d)(?=[ \-)]|$)/m
const AFTER_CODE = /(?:^|[\s:;"'(<[])[45]\d\d[ -]+#?([45]\.[0-7]\.\d{1,3})(?![\d.]*\d)/m
const ENHANCED = /(?<![\d.])([45]\.[0-7]\.\d{1,3})(?!\.?\d)/

/** The enhanced status code (RFC 3463) of a failure in a server's words: best right behind a reply code. */
export function enhancedStatusIn(text: string): string | undefined {
  return (AFTER_CODE.exec(text) ?? ENHANCED.exec(text))?.[1]
}

/**
 * A status for a failure told in words: the enhanced code; else the reply code's class, with the words for a missing
 * and a full mailbox; undefined when the text tells of no failure.
 */
export function statusFromWords(text: string): string | undefined {
  const enhanced = enhancedStatusIn(text)
  if (enhanced !== undefined && !/^[45]\.0\.0$/.test(enhanced)) return enhanced
  const code = REPLY_CODE.exec(text)?.[1]
  const family = enhanced?.[0] ?? code?.[0]
  if (FULL.test(text) || code === '552' || code === '452') return `${family ?? '5'}.2.2`
  if (family !== '4' && NO_MAILBOX.test(text)) return '5.1.1'
  return family === undefined ? undefined : `${family}.0.0`
}

/** The mailbox or its domain is not there, as RFC 3463 and Microsoft's servers say it. */
const NOT_THERE = /^5\.(1\.([1-46]|10)|2\.1|4\.(1|4|310))$/
/** Statuses that say no more than that it failed: the words decide. */
const VAGUE = /^5\.[012]\.0$/
const UNWANTED = /spam|block|black ?list|policy|reputation|dmarc|\bspf\b|virus|content|sender/i

/** Why, by the status, and by the server's words where it says nothing. */
export function causeOf(status: string, diagnostic: string): BounceCause {
  if (/^[45]\.2\.2$/.test(status)) return 'mailbox-full'
  if (status.startsWith('4.')) return 'unavailable'
  if (NOT_THERE.test(status)) return 'address'
  if (VAGUE.test(status)) return causeInWords(diagnostic)
  // on the way and not in time, but for loops and what was not taken
  return /^5\.4\.(?!6$|14$)/.test(status) || status === '5.3.2' ? 'unavailable' : 'rejected'
}

function causeInWords(diagnostic: string): BounceCause {
  if (FULL.test(diagnostic)) return 'mailbox-full'
  if (UNWANTED.test(diagnostic)) return 'rejected'
  return NO_MAILBOX.test(diagnostic) || /\b55[013]\b/.test(diagnostic) ? 'address' : 'rejected'
}
