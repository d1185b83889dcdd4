import { createHash, createVerify } from 'node:crypto'

export interface DkimFindings {
  valid: boolean
  /** Names of the signed header fields, in lower case. */
  signed: string[]
}

/** Checks the first DKIM-Signature of a mail (RFC 6376, rsa-sha256, relaxed/relaxed) with the key it should have. */
export function verifyDkim(source: string, publicKey: string): DkimFindings {
  const end = source.indexOf('\r\n\r\n')
  const fields = source
    .slice(0, end)
    .split(/\r\n(?![ \t])/)
    .map((field) => ({ name: field.split(':')[0]?.trim().toLowerCase() ?? '', field }))
  const signature = fields.find(({ name }) => name === 'dkim-signature')?.field ?? ''
  const tags = new Map(
    signature
      .slice(signature.indexOf(':') + 1)
      .split(';')
      .map((tag) => {
        const [name = '', ...value] = tag.split('=')
        return [name.trim(), value.join('=').replace(/\s/g, '')] as const
      }),
  )
  const signed = (tags.get('h') ?? '').toLowerCase().split(':')
  // each name takes the last field of that name that was not taken before
  const left = [...fields]
  const taken = signed.flatMap((name) => {
    const at = left.findLastIndex((one) => one.name === name)
    return at === -1 ? [] : left.splice(at, 1).map(({ field }) => `${relaxedHeader(field)}\r\n`)
  })
  const unsigned = relaxedHeader(signature.replace(/(\bb=)[^;]*/, '$1'))
  const verify = createVerify('RSA-SHA256').update(taken.join('') + unsigned)
  const body = createHash('sha256')
    .update(relaxedBody(source.slice(end + 4)))
    .digest('base64')
  const valid =
    tags.get('a') === 'rsa-sha256' &&
    tags.get('c') === 'relaxed/relaxed' &&
    tags.get('bh') === body &&
    verify.verify(publicKey, tags.get('b') ?? '', 'base64')
  return { valid, signed }
}

function relaxedHeader(field: string): string {
  const colon = field.indexOf(':')
  const value = field
    .slice(colon + 1)
    .replace(/\r\n/g, '')
    .replace(/[ \t]+/g, ' ')
    .trim()
  return `${field.slice(0, colon).trim().toLowerCase()}:${value}`
}

function relaxedBody(body: string): string {
  const lines = body.split('\r\n').map((line) => line.replace(/[ \t]+/g, ' ').replace(/ $/, ''))
  while (lines.length > 0 && lines.at(-1) === '') lines.pop()
  return lines.map((line) => `${line}\r\n`).join('')
}
