import protobuf from 'protobufjs'
import { type Command, commandOf, isRecord, MAX_COMMANDS } from './commands.js'
import { loadProtobuf } from './protobuf-schema.js'
import { RawJson } from './raw-json.js'
import type { Reply } from './replies.js'

/** A command sent beside the stream it belongs to. `data` is a message as a WebSocket would carry it. */
export interface EmulatedMessage {
  node: string
  session: string
  data: Buffer
}

/** The protocol's binary encoding: each message preceded by its length (varint). */
export interface ProtobufCodec {
  /** Undefined when the bytes are not commands, or one carries data that is not JSON. */
  commands(bytes: Uint8Array): Command[] | undefined
  reply(reply: Reply): Buffer
  emulated(bytes: Uint8Array): EmulatedMessage | undefined
}

const READ_OPTIONS = { longs: Number, bytes: Buffer, defaults: false } as const
const utf8 = new TextDecoder('utf-8', { fatal: true })

export function createProtobufCodec(): ProtobufCodec {
  const types = loadProtobuf()
  return {
    commands(bytes) {
      try {
        const commands: Command[] = []
        const reader = protobuf.Reader.create(bytes)
        while (reader.pos < reader.len) {
          const message = types.command.toObject(types.command.decodeDelimited(reader), READ_OPTIONS)
          const command = commandOf(withJson(message))
          if (command === undefined || commands.length === MAX_COMMANDS) return undefined
          commands.push(command)
        }
        return commands.length === 0 ? undefined : commands
      } catch {
        // bytes of somebody else's making: whatever is wrong with them, they are not commands
        return undefined
      }
    },
    reply: (reply) => Buffer.from(types.reply.encodeDelimited(withBytes(reply) as object).finish()),
    emulated(bytes) {
      try {
        const { node, session, data } = types.emulation.toObject(types.emulation.decode(bytes), READ_OPTIONS)
        return { node: String(node ?? ''), session: String(session ?? ''), data: data ?? Buffer.alloc(0) }
      } catch {
        return undefined
      }
    },
  }
}

/** Payloads are bytes here and JSON values in the other encoding; commands are the same from both. */
function withJson(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.length === 0 ? undefined : JSON.parse(utf8.decode(value))
  if (!isRecord(value)) return value
  const copy: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(value)) {
    Object.defineProperty(copy, name, {
      value: withJson(field),
      enumerable: true,
      writable: true,
      configurable: true,
    })
  }
  return copy
}

function withBytes(value: unknown): unknown {
  if (value instanceof RawJson) return Buffer.from(value.text)
  if (Array.isArray(value)) return value.map(withBytes)
  if (!isRecord(value)) return value
  const copy: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(value)) {
    if (field !== undefined) copy[name] = withBytes(field)
  }
  return copy
}
