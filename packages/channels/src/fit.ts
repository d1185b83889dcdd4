import { ChannelError } from './errors.js'
import type { Message, Outgoing } from './message.js'
import { graphemes } from './text.js'

/** A message that fits, and what had to go for it, in the order it went. */
export interface Fitted {
  message: Message
  clipped: string[]
}

const KEPT_BODY_GRAPHEMES = 120
const KEPT_TITLE_GRAPHEMES = 60

/**
 * Keeps a message under a provider's limit. Steps, each only as far as needed: the body is clipped down to 120
 * graphemes; image and actions go; the caller's `data` goes (the app reads it by `nid`; `ref` says so); subtitle and
 * html go; the title is clipped down to 60 graphemes; the body is clipped down to nothing.
 * Clipping never splits a grapheme and ends in an ellipsis. `measure` returns what counts, as text; its UTF-8 bytes
 * are compared with `maxBytes`.
 * @throws ChannelError `PAYLOAD_TOO_LARGE` when our own fields alone are too big
 */
export function fitTo<T extends Outgoing>(
  outgoing: T,
  maxBytes: number,
  measure: (candidate: T) => string,
): Fitted {
  const fits = (message: Message) => Buffer.byteLength(measure({ ...outgoing, message })) <= maxBytes
  let message = outgoing.message
  const clipped: string[] = []
  if (fits(message)) return { message, clipped }
  const clip = (field: 'body' | 'title', keep: number): Message => {
    const units = graphemes(message[field] ?? '', maxBytes)
    let low = Math.min(keep, units.length)
    let high = units.length
    const cut = (count: number): Message =>
      count >= units.length && units.join('') === message[field]
        ? message
        : { ...message, [field]: count === 0 ? '' : `${units.slice(0, count).join('').trimEnd()}…` }
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (fits(cut(middle))) low = middle
      else high = middle - 1
    }
    return cut(low)
  }
  const steps: readonly [string, () => Message][] = [
    ['body', () => clip('body', KEPT_BODY_GRAPHEMES)],
    ['imageUrl, actions', () => without(message, ['imageUrl', 'actions'])],
    ['data', () => (message.data ? { ...message, data: { ref: '1' } } : message)],
    ['subtitle, html', () => without(message, ['subtitle', 'html'])],
    ['title', () => clip('title', KEPT_TITLE_GRAPHEMES)],
    ['body', () => clip('body', 0)],
  ]
  for (const [what, step] of steps) {
    const next = step()
    if (next !== message) clipped.push(what)
    message = next
    if (fits(message)) return { message, clipped }
  }
  throw new ChannelError('PAYLOAD_TOO_LARGE', `The payload is over ${maxBytes} bytes even without its texts.`)
}

function without(message: Message, fields: readonly (keyof Message)[]): Message {
  if (!fields.some((field) => message[field] !== undefined)) return message
  return Object.fromEntries(
    Object.entries(message).filter(([field]) => !fields.includes(field as keyof Message)),
  ) as unknown as Message
}
