/** A text frame as a client sends it, masked with zeros. */
export function clientFrame(text: string): Buffer {
  const payload = Buffer.from(text)
  const long = payload.length > 125
  const head = Buffer.alloc(long ? 8 : 6)
  head[0] = 0x81
  head[1] = 0x80 | (long ? 126 : payload.length)
  if (long) head.writeUInt16BE(payload.length, 2)
  return Buffer.concat([head, payload])
}

/** Takes whole frames off the front of what came; gives what is left. */
export function readFrames(bytes: Buffer, onText: (text: string) => void): Buffer {
  let at = 0
  for (;;) {
    const short = (bytes[at + 1] ?? 0) & 0x7f
    const begin = at + (short < 126 ? 2 : short === 126 ? 4 : 10)
    if (bytes.length < begin) break
    const length =
      short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2))
    if (bytes.length < begin + length) break
    if (((bytes[at] ?? 0) & 0x0f) === 1) onText(bytes.toString('utf8', begin, begin + length))
    at = begin + length
  }
  return bytes.subarray(at)
}

/** The number in a body of `{"n":1}`. */
export function numberIn(text: string): number {
  return Number(/"n":(\d+)/.exec(text)?.[1])
}
