/** Standard input to its end; what is over `maxBytes` is read and thrown away, so that the writer never breaks off. */
export async function readInput(maxBytes = Number.POSITIVE_INFINITY): Promise<Buffer> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of process.stdin) {
    if (size < maxBytes) parts.push(part as Buffer)
    size += (part as Buffer).length
  }
  const all = Buffer.concat(parts)
  return all.length > maxBytes ? all.subarray(0, maxBytes) : all
}
