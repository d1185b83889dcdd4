/**
 * The id of an SSE event: the positions of all channels of one connection, in at most 128 characters that every
 * proxy and the CORS rules for `Last-Event-ID` let through.
 *
 * Layout: `1`, the epoch (6 characters), the highest offset in base 36, then for each channel `.`, its tag
 * (4 characters) and how far it stands behind the highest, in base 36 and absent for 0. All channels live in one
 * stream and therefore share one sequence, so the distances are short.
 */

/** Most channels one cursor can hold within 128 characters. */
export const MAX_CURSOR_CHANNELS = 7

const TAG_LENGTH = 4
const VERSION = '1'
const CURSOR = /^1([A-Za-z0-9_-]{6})([0-9a-z]{1,11})((?:\.[A-Za-z0-9_-]{4}[0-9a-z]{0,11})*)$/

export interface CursorEntry {
  readonly channel: { readonly tag: string }
  readonly offset: number
}

export interface Cursor {
  epoch: string
  /** Offset by tag. */
  offsets: ReadonlyMap<string, number>
}

export function encodeCursor(epoch: string, entries: readonly CursorEntry[]): string {
  let base = 0
  for (const { offset } of entries) if (offset > base) base = offset
  let text = `${VERSION}${epoch}${base.toString(36)}`
  for (const { channel, offset } of entries) {
    text += offset === base ? `.${channel.tag}` : `.${channel.tag}${(base - offset).toString(36)}`
  }
  return text
}

/** Reads what `encodeCursor` wrote; undefined for anything else. */
export function decodeCursor(text: string): Cursor | undefined {
  const match = text.length <= 128 ? CURSOR.exec(text) : null
  if (match === null) return undefined
  const [, epoch = '', baseText = '', rest = ''] = match
  const base = Number.parseInt(baseText, 36)
  if (!Number.isSafeInteger(base)) return undefined
  const offsets = new Map<string, number>()
  for (const entry of rest.split('.').slice(1)) {
    const behind = entry.length === TAG_LENGTH ? 0 : Number.parseInt(entry.slice(TAG_LENGTH), 36)
    if (!(behind <= base)) return undefined
    offsets.set(entry.slice(0, TAG_LENGTH), base - behind)
  }
  return { epoch, offsets }
}

/** A short name for a channel inside a cursor. `hash` is a digest of the channel's subject. */
export function tagOf(hash: Uint8Array): string {
  return Buffer.from(hash.subarray(0, 3)).toString('base64url')
}
