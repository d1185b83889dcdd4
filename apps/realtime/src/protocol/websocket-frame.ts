/** A complete, unmasked text frame as a server sends it (RFC 6455 §5.2). */
export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text)
  const frame = header(TEXT, length)
  frame.write(text, frame.length - length, 'utf8')
  return frame
}

/** The same for bytes. */
export function binaryFrame(bytes: Uint8Array): Buffer {
  const frame = header(BINARY, bytes.length)
  frame.set(bytes, frame.length - bytes.length)
  return frame
}

const TEXT = 0x81
const BINARY = 0x82

/** A frame with its first bytes written and room for its payload. */
function header(opcode: number, length: number): Buffer {
  const size = length < 126 ? 2 : length < 65_536 ? 4 : 10
  const frame = Buffer.allocUnsafe(size + length)
  frame[0] = opcode
  if (size === 2) {
    frame[1] = length
  } else if (size === 4) {
    frame[1] = 126
    frame.writeUInt16BE(length, 2)
  } else {
    frame[1] = 127
    frame.writeBigUInt64BE(BigInt(length), 2)
  }
  return frame
}

/** A close frame with a code and a reason of at most 123 bytes. */
export function closeFrame(code: number, reason: string): Buffer {
  const text = Buffer.from(reason).subarray(0, 123)
  const frame = Buffer.alloc(4 + text.length)
  frame[0] = 0x88
  frame[1] = 2 + text.length
  frame.writeUInt16BE(code, 2)
  text.copy(frame, 4)
  return frame
}
