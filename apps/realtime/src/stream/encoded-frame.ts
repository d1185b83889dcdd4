import { textFrame } from '../protocol/websocket-frame.js'
import { encodeCursor } from './cursor.js'

/** What a frame needs to know of its channel to be encoded. */
export interface FrameChannel {
  /** The channel as clients call it. */
  readonly name: string
  readonly tag: string
  readonly epoch: string
}

const NEW_LINES = /[\r\n]/g
const decoder = new TextDecoder()

/**
 * One stored frame with its encodings, each made at most once and shared by all subscribers. The JSON inside is
 * passed on as the publisher wrote it.
 */
export class EncodedFrame {
  readonly sequence: number
  readonly previous: number
  readonly json: string
  readonly bytes: number
  readonly #channel: FrameChannel
  readonly #epoch: string
  #websocket: Buffer | undefined
  #event: Buffer | undefined
  #eventTail: string | undefined

  constructor(channel: FrameChannel, stored: { sequence: number; previous: number; json: string }) {
    this.#channel = channel
    this.#epoch = channel.epoch
    this.sequence = stored.sequence
    this.previous = stored.previous
    this.json = stored.json
    this.bytes = Buffer.byteLength(stored.json)
  }

  /** A publication of the client protocol, as inside replies. */
  get publication(): string {
    return `{"data":${this.json},"offset":${this.sequence}}`
  }

  /** A complete WebSocket frame that pushes the publication. */
  get websocket(): Buffer {
    this.#websocket ??= textFrame(
      `{"push":{"channel":${JSON.stringify(this.#channel.name)},"pub":${this.publication}}}`,
    )
    return this.#websocket
  }

  /** An SSE event for a connection with this channel alone. */
  get event(): Buffer {
    this.#event ??= Buffer.from(
      `id: ${encodeCursor(this.#epoch, [{ tag: this.#channel.tag, offset: this.sequence }])}\n${this.eventTail}`,
    )
    return this.#event
  }

  /** The event without its id, for connections with several channels. */
  get eventTail(): string {
    const { name } = this.#channel
    this.#eventTail ??= `${name === 'user' ? '' : `event: ${name}\n`}data: ${this.json}\n\n`
    return this.#eventTail
  }
}

/**
 * The text of a stored body, on one line so that it can stand in both transports, or undefined when it is not a JSON
 * object: one bad frame would otherwise end every connection that gets it.
 */
export function frameText(body: Uint8Array): string | undefined {
  const text = decoder.decode(body)
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  } catch {
    return undefined
  }
  // a raw line break can only be white space between JSON's tokens
  return text.includes('\n') || text.includes('\r') ? text.replace(NEW_LINES, ' ') : text
}
