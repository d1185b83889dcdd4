import { jsonText } from '../protocol/json.js'
import { RawJson } from '../protocol/raw-json.js'
import type { ClientInfo, Publication } from '../protocol/replies.js'
import { WIRE_COUNT, type Wire } from '../protocol/wires.js'
import { encodeCursor } from './cursor.js'

/** What a frame needs to know of its channel to be encoded. */
export interface FrameChannel {
  /** The channel as clients call it. */
  readonly name: string
  readonly tag: string
  readonly epoch: string
}

/** A message of a channel: its place, what it says, and who published it. */
export interface FrameContent {
  /** 0 for one that was never stored. */
  sequence: number
  previous: number
  json: string
  info?: ClientInfo | undefined
  /** Of a `latest` channel: newer ones of the same key replace it. */
  key?: string | undefined
}

const ID = 'id: '
const NEW_LINES = /[\r\n]/g
const decoder = new TextDecoder()

/**
 * One frame with its encodings, each made at most once and shared by all subscribers. The JSON inside is passed on as
 * the publisher wrote it.
 */
export class EncodedFrame {
  readonly sequence: number
  readonly previous: number
  readonly json: string
  readonly bytes: number
  readonly info: ClientInfo | undefined
  readonly key: string | undefined
  readonly #channel: FrameChannel
  readonly #epoch: string
  #pushes: (Buffer | undefined)[] | undefined
  #event: Buffer | undefined
  #eventTail: Buffer | undefined

  constructor(channel: FrameChannel, content: FrameContent) {
    this.#channel = channel
    this.#epoch = channel.epoch
    this.sequence = content.sequence
    this.previous = content.previous
    this.json = content.json
    this.info = content.info
    this.key = content.key
    this.bytes = Buffer.byteLength(content.json)
  }

  /** A publication of the client protocol. */
  get publication(): Publication {
    return {
      data: new RawJson(this.json),
      ...(this.info === undefined ? {} : { info: this.info }),
      ...(this.sequence === 0 ? {} : { offset: this.sequence }),
      ...(this.key === undefined ? {} : { key: this.key, tags: { key: this.key } }),
    }
  }

  /** Complete bytes that push the publication to clients of a wire. */
  push(wire: Wire): Buffer {
    this.#pushes ??= new Array<Buffer | undefined>(WIRE_COUNT).fill(undefined)
    const known = this.#pushes[wire.index]
    if (known !== undefined) return known
    const bytes = wire.encode({ push: { channel: this.#channel.name, pub: this.publication } })
    this.#pushes[wire.index] = bytes
    return bytes
  }

  /** An SSE event for a connection with this channel alone. */
  get event(): Buffer {
    this.#event ??= Buffer.from(
      this.sequence === 0
        ? this.#eventText()
        : `id: ${encodeCursor(this.#epoch, [{ channel: this.#channel, offset: this.sequence }])}\n${this.#eventText()}`,
    )
    return this.#event
  }

  /** The event for one connection with several channels: only its id, ASCII, is encoded for each. */
  eventWith(id: string): Buffer {
    this.#eventTail ??= Buffer.from(`\n${this.#eventText()}`)
    const start = ID.length + id.length
    const bytes = Buffer.allocUnsafe(start + this.#eventTail.length)
    bytes.write(ID + id, 'latin1')
    bytes.set(this.#eventTail, start)
    return bytes
  }

  #eventText(): string {
    return `${this.eventType === 'message' ? '' : `event: ${this.eventType}\n`}data: ${this.eventData}\n\n`
  }

  /** The name under which readers of events hear it. */
  get eventType(): string {
    const { name } = this.#channel
    return name === 'user' ? 'message' : name
  }

  /**
   * What readers of events get, as JSON: of the personal channel the frame itself, of a room the publication, so that
   * they see who published it.
   */
  get eventData(): string {
    if (this.#channel.name === 'user') return this.json
    const { tags: _, ...publication } = this.publication
    return jsonText(publication)
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
