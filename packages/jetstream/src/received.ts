import type { Msg } from '@nats-io/transport-node'
import { readHeaders } from './headers.js'

const ACK_PREFIX = '$JS.ACK.'

/** A message delivered by a durable consumer. Headers and text are read only when asked for. */
export interface Received {
  readonly subject: string
  readonly body: Uint8Array
  readonly stream: string
  readonly sequence: number
  /** How often it was delivered, this time included; 1 the first time. */
  readonly deliveries: number
  /** When the stream stored it, epoch milliseconds. */
  readonly timestampMs: number
  /** Messages that match the consumer and come after this one. */
  readonly pending: number
  /** The first value of a header, whatever its case. */
  header(name: string): string | undefined
  /** Names of all headers, in lower case. */
  headerNames(): string[]
  text(): string
  /** @throws SyntaxError when the body is not JSON */
  json(): unknown
}

/** A message as it came over the wire. */
export class WireReceived implements Received {
  readonly stream: string
  readonly sequence: number
  readonly deliveries: number
  readonly timestampMs: number
  readonly pending: number
  readonly #message: Msg
  #headers: Map<string, string> | undefined

  constructor(message: Msg) {
    // $JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>, or with domain and
    // account before the stream and a random token at the end.
    const tokens = (message.reply ?? '').split('.')
    const at = tokens.length > 9 ? 4 : 2
    this.#message = message
    this.stream = tokens[at] ?? ''
    this.deliveries = Number(tokens[at + 2])
    this.sequence = Number(tokens[at + 3])
    this.timestampMs = Math.floor(Number(tokens[at + 5]) / 1_000_000)
    this.pending = Number(tokens[at + 6])
  }

  get subject(): string {
    return this.#message.subject
  }

  get body(): Uint8Array {
    return this.#message.data
  }

  header(name: string): string | undefined {
    this.#headers ??= readHeaders(this.#message)
    return this.#headers.get(name) ?? this.#headers.get(name.toLowerCase())
  }

  headerNames(): string[] {
    this.#headers ??= readHeaders(this.#message)
    return [...this.#headers.keys()]
  }

  text(): string {
    return this.#message.string()
  }

  json(): unknown {
    return this.#message.json<unknown>()
  }
}

/** True for a message of a stream, false for a status of the consumer. */
export function isDelivery(message: Msg): boolean {
  return message.reply?.startsWith(ACK_PREFIX) ?? false
}
