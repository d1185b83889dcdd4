import { ChannelError } from './errors.js'
import type { Message, Outgoing } from './message.js'
import { graphemes } from './text.js'

/** A message that fits, and what had to go for it, in the order it went. */
export interface Fitted {
  message: Message
  clipped: string[]
}

/** How a provider's payload is made and what of it counts. */
export interface Measured<T extends Outgoing, P> {
  maxBytes: number
  build(candidate: T): P
  /** What counts, as text; its UTF-8 bytes are compared with `maxBytes`. */
  text(payload: P): string
}

const KEPT_BODY_GRAPHEMES = 120
const KEPT_TITLE_GRAPHEMES = 60

/** The message kept under a limit by `fitPayload`, where the payload itself is what counts. */
export function fitTo<T extends Outgoing>(
  outgoing: T,
  maxBytes: number,
  measure: (candidate: T) => string,
): Fitted {
  const { message, clipped } = fitPayload(outgoing, { maxBytes, build: measure, text: (text) => text })
  return { message, clipped }
}

/**
 * Keeps a message under a provider's limit and returns the payload it becomes; one that fits is built once. Steps,
 * each only as far as needed: the body is clipped down to 120 graphemes; image and actions go; the caller's `data`
 * goes (the app reads it by `nid`; `ref` says so); subtitle and html go; the title is clipped down to 60 graphemes;
 * the body is clipped down to nothing. Clipping never splits a grapheme and ends in an ellipsis.
 * @throws ChannelError `PAYLOAD_TOO_LARGE` when our own fields alone are too big
 */
export function fitPayload<T extends Outgoing, P>(
  outgoing: T,
  measured: Measured<T, P>,
): Fitted & { payload: P } {
  const { maxBytes } = measured
  const tried = (message: Message) => {
    const payload = measured.build(message === outgoing.message ? outgoing : { ...outgoing, message })
    return { payload, fits: Buffer.byteLength(measured.text(payload)) <= maxBytes }
  }
  const clipped: string[] = []
  let message = outgoing.message
  const whole = tried(message)
  if (whole.fits) return { message, clipped, payload: whole.payload }
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
      if (tried(cut(middle)).fits) low = middle
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
    const { fits, payload } = tried(message)
    if (fits) return { message, clipped, payload }
  }
  throw new ChannelError('PAYLOAD_TOO_LARGE', `The payload is over ${maxBytes} bytes even without its texts.`)
}

function without(message: Message, fields: readonly (keyof Message)[]): Message {
  if (!fields.some((field) => message[field] !== undefined)) return message
  return Object.fromEntries(
    Object.entries(message).filter(([field]) => !fields.includes(field as keyof Message)),
  ) as unknown as Message
}
