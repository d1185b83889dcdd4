import { createHash } from 'node:crypto'

/** Removes what could start a new header or line: CR, LF and other control characters become one space. */
export function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this removes
  return text.replace(/[\u0000-\u001f\u007f\u2028\u2029]+/g, ' ').trim()
}

/** SHA-256 as base64url, cut to `chars`. 32 characters are whole bytes, so every push service can decode them. */
export function shortHash(text: string, chars: number): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, chars)
}

/** The text's graphemes, read no further than `maxUnits` UTF-16 units; the last may be cut, so it is left out. */
export function graphemes(text: string, maxUnits: number): string[] {
  const whole = text.length <= maxUnits
  const segments = [...new Intl.Segmenter().segment(whole ? text : text.slice(0, maxUnits))]
  const list = segments.map((segment) => segment.segment)
  return whole ? list : list.slice(0, -1)
}
