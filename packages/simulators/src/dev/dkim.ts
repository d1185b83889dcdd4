import { createHash, verify } from 'node:crypto'

/** The public key (PEM) of a domain's selector, as DNS would have it; undefined when it is not known. */
export type DkimKeys = (domain: string, selector: string) => string | undefined

/** What a mail's first DKIM signature is worth. */
export interface DkimResult {
  result: 'none' | 'pass' | 'fail' | 'key unknown'
  domain?: string
  selector?: string
  /** Names of the signed header fields, in lower case. */
  signed?: string[]
}

/** Checks the first DKIM-Signature of a mail (RFC 6376, rsa-sha256, relaxed/relaxed). */
export function checkDkim(source: string, keys: DkimKeys): DkimResult {
  const end = source.indexOf('\r\n\r\n')
  const fields = source.slice(0, end).split(/\r\n(?![ \t])/)
  const field = fields.find((one) => nameOf(one) === 'dkim-signature')
  if (end < 0 || field === undefined) return { result: 'none' }
  const tags = tagsOf(field)
  const domain = tags.get('d') ?? ''
  const selector = tags.get('s') ?? ''
  const signed = (tags.get('h') ?? '').toLowerCase().split(':')
  const about = { domain, selector, signed }
  const key = keys(domain, selector)
  if (key === undefined) return { result: 'key unknown', ...about }
  if (tags.get('a') !== 'rsa-sha256' || tags.get('c') !== 'relaxed/relaxed')
    return { result: 'fail', ...about }
  const body = createHash('sha256')
    .update(relaxedBody(source.slice(end + 4)))
    .digest('base64')
  // the signature signs itself with its value left out, and no line end after it
  const itself = relaxedHeader(field.replace(/(;\s*b=)[^;]*/, '$1'))
  const text = [...pick(fields, signed).map((one) => `${relaxedHeader(one)}\r\n`), itself].join('')
  const good =
    tags.get('bh') === body &&
    verify('RSA-SHA256', Buffer.from(text), key, Buffer.from(tags.get('b') ?? '', 'base64'))
  return { result: good ? 'pass' : 'fail', ...about }
}

/** The signed fields: each name takes the last one of that name that was not taken before. */
function pick(fields: readonly string[], names: readonly string[]): string[] {
  const left = [...fields]
  return names.flatMap((name) => {
    const at = left.findLastIndex((one) => nameOf(one) === name)
    return at < 0 ? [] : left.splice(at, 1)
  })
}

function nameOf(field: string): string {
  return field
    .slice(0, Math.max(0, field.indexOf(':')))
    .trim()
    .toLowerCase()
}

function tagsOf(field: string): Map<string, string> {
  const list = field.slice(field.indexOf(':') + 1).split(';')
  return new Map(
    list.map((tag) => {
      const equals = tag.indexOf('=')
      return [tag.slice(0, equals).trim(), tag.slice(equals + 1).replace(/\s/g, '')]
    }),
  )
}

function relaxedHeader(field: string): string {
  const value = field.slice(field.indexOf(':') + 1).replace(/\r\n/g, '')
  return `${nameOf(field)}:${value.replace(/[ \t]+/g, ' ').trim()}`
}

function relaxedBody(body: string): string {
  const lines = body.split('\r\n').map((line) => line.replace(/[ \t]+/g, ' ').replace(/ $/, ''))
  while (lines.at(-1) === '') lines.pop()
  return lines.map((line) => `${line}\r\n`).join('')
}
