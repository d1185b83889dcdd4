import type { Disconnect } from './codes.js'
import { type Command, parseCommands } from './commands.js'
import { jsonText } from './json.js'
import { createProtobufCodec, type ProtobufCodec } from './protobuf.js'
import type { Reply } from './replies.js'
import { binaryFrame, closeFrame, textFrame } from './websocket-frame.js'

/** How many wires there are: frames keep their bytes for each of them. */
export const WIRE_COUNT = 5

/** One way in which messages of the protocol travel: their encoding and what is put around them. */
export interface Wire {
  /** 0 to `WIRE_COUNT` - 1. */
  readonly index: number
  readonly transport: 'websocket' | 'http_stream' | 'sse'
  /** Complete bytes of one message, to be written one after the other. */
  encode(reply: Reply): Buffer
  /** What a ping looks like. */
  readonly ping: Buffer
  /**
   * The last bytes, which say why: a WebSocket's close frame, alone, as Centrifugo's, for some clients take a push and
   * a close that come together for neither; elsewhere the push.
   */
  farewell(disconnect: Disconnect): Buffer
  /** Undefined when a message of the client is not of the protocol. */
  commands(message: Buffer): Command[] | undefined
}

export interface Wires {
  json: { websocket: Wire; http_stream: Wire; sse: Wire }
  protobuf: { websocket: Wire; http_stream: Wire }
  codec: ProtobufCodec
}

const close = ({ code, reason }: Disconnect) => closeFrame(code, reason)
const jsonCommands = (message: Buffer) => parseCommands(message.toString())

export function createWires(): Wires {
  const codec = createProtobufCodec()
  const binary = { commands: (message: Buffer) => codec.commands(message) }
  return {
    codec,
    json: {
      websocket: wire({
        index: 0,
        transport: 'websocket',
        encode: (reply) => textFrame(jsonText(reply)),
        farewell: close,
        commands: jsonCommands,
      }),
      http_stream: wire({
        index: 1,
        transport: 'http_stream',
        encode: (reply) => Buffer.from(`${jsonText(reply)}\n`),
        commands: jsonCommands,
      }),
      sse: wire({
        index: 2,
        transport: 'sse',
        encode: (reply) => Buffer.from(`data: ${jsonText(reply)}\n\n`),
        commands: jsonCommands,
      }),
    },
    protobuf: {
      websocket: wire({
        index: 3,
        transport: 'websocket',
        encode: (reply) => binaryFrame(codec.reply(reply)),
        farewell: close,
        ...binary,
      }),
      http_stream: wire({
        index: 4,
        transport: 'http_stream',
        encode: (reply) => codec.reply(reply),
        ...binary,
      }),
    },
  }
}

function wire(parts: Omit<Wire, 'ping' | 'farewell'> & Partial<Pick<Wire, 'farewell'>>): Wire {
  const { encode } = parts
  const push = ({ code, reason }: Disconnect) => encode({ push: { disconnect: { code, reason } } })
  return { farewell: push, ...parts, ping: encode({}) }
}
