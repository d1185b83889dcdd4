import { isMailAddress } from '../smtp/credentials.js'

/** `Name: value` lines; names in lower case, the first of a name counts. */
export type Fields = ReadonlyMap<string, string>

const MAX_BLOCKS = 100
const MAX_VALUE = 2000

/** Blocks of fields between empty lines, folded lines joined. Lines that are no field are passed over. */
export function fieldBlocks(text: string): Fields[] {
  const blocks: Map<string, string>[] = []
  let block: Map<string, string> | undefined
  let last = ''
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === '') {
      block = undefined
      continue
    }
    if (/^[ \t]/.test(line)) {
      const before = block?.get(last)
      if (before !== undefined) block?.set(last, `${before} ${line.trim()}`.slice(0, MAX_VALUE))
      continue
    }
    const colon = line.indexOf(':')
    const name = colon > 0 && colon <= 80 ? line.slice(0, colon).trim().toLowerCase() : ''
    if (!/^[\x21-\x7e]+$/.test(name)) continue
    if (block === undefined) {
      if (blocks.length >= MAX_BLOCKS) break
      block = new Map()
      blocks.push(block)
    }
    last = block.has(name) ? '' : name
    if (last !== '')
      block.set(
        name,
        line
          .slice(colon + 1)
          .trim()
          .slice(0, MAX_VALUE),
      )
  }
  return blocks
}

/** The address of a field like `rfc822; ana@a.example` or `<ana@a.example>`; undefined when it holds none. */
export function addressIn(value: string | undefined): string | undefined {
  if (value === undefined) return undefined
  const bare = value
    .slice(0, 400)
    .replace(/^\s*(rfc822|utf-8|smtp)\s*;/i, '')
    .split(/[\s,;]/)
    .find((word) => word.includes('@'))
    ?.replace(/^<|>$/g, '')
    // xtext (RFC 3461 §4)
    .replace(/\+([0-9A-F]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return bare !== undefined && isMailAddress(bare) ? bare : undefined
}

/** One printable line of at most `max` characters. */
export function printable(text: string, max: number): string {
  return text
    .slice(0, 4 * max)
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
    .slice(0, max)
}
