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

/** UTF-16 units segmented at once: V8 copies the whole of what it segments into every segment. */
const CHUNK = 256

/** The text's graphemes, read no further than `maxUnits` UTF-16 units; the last may be cut, so it is left out. */
export function graphemes(text: string, maxUnits: number): string[] {
  const segmenter = new Intl.Segmenter()
  const end = Math.min(text.length, maxUnits)
  const list: string[] = []
  let from = 0
  let size = CHUNK
  while (from < end) {
    const to = Math.min(from + size, end)
    const found = Array.from(segmenter.segment(text.slice(from, to)), ({ segment }) => segment)
    // The chunk's end may stand within a grapheme: it begins the next chunk, a longer one if it is all there is.
    const cut = to < text.length ? (found.pop()?.length ?? 0) : 0
    for (const one of found) list.push(one)
    if (to === end) break
    size = found.length === 0 ? size * 2 : CHUNK
    from = to - cut
  }
  return list
}
