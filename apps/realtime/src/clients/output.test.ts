import { connect, createServer, type Socket } from 'node:net'
import type { TestScope } from '@carillon/testkit'
import { eventually } from '@carillon/testkit'
import t from 'tap'
import { Flusher, Output } from './output.js'

/** Both ends of a connection; the far one does not read. */
async function usePair(t: TestScope): Promise<{ near: Socket; far: Socket }> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const far = connect(port, '127.0.0.1')
  far.pause()
  const near = await new Promise<Socket>((resolve) => server.once('connection', resolve))
  t.teardown(() => {
    far.destroy()
    near.destroy()
    server.close()
  })
  return { near, far }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

t.test('what waits for a client that does not read stays below the limit and one turn', async (t) => {
  const { near } = await usePair(t)
  const maxBytes = 1_048_576
  let slow = false
  const output = new Output(near, { flusher: new Flusher(), maxBytes, onSlow: () => (slow = true) })
  const bytes = Buffer.alloc(16_384)
  let most = 0
  for (let count = 0; !slow && count < 4_000; count++) {
    for (let n = 0; n < 4; n++) output.push(bytes)
    await turn()
    most = Math.max(most, near.writableLength)
  }
  t.ok(slow, 'it is told')
  t.ok(most > maxBytes && most <= maxBytes + 4 * bytes.length, `${most} bytes at most`)
})

t.test('one large turn makes nobody slow, and goes out whole', async (t) => {
  const { near, far } = await usePair(t)
  const flusher = new Flusher()
  const output = new Output(near, { flusher, maxBytes: 65_536, onSlow: () => t.fail('slow') })
  output.push(Buffer.alloc(3_000_000, 1))
  output.push(Buffer.alloc(1_000, 2))
  let read = 0
  far.on('data', (chunk) => {
    read += chunk.length
  })
  far.resume()
  await eventually(() => read === 3_001_000)
  output.push(Buffer.from('more'))
  await eventually(() => read === 3_001_004)
  t.pass()
})

t.test('of what has no history only the newest waits, behind 256 KiB of what has', async (t) => {
  const { near, far } = await usePair(t)
  const output = new Output(near, { flusher: new Flusher(), maxBytes: 1e9, onSlow: () => t.fail('slow') })
  const text: Buffer[] = []
  far.on('data', (chunk) => text.push(chunk))
  far.pause()
  output.pushNewest('a', Buffer.from('<a0>'))
  await turn()
  while (near.writableLength <= 256 * 1024) {
    output.push(Buffer.alloc(1_000_000, '.'))
    await turn()
  }
  for (let n = 1; n <= 100; n++) {
    output.pushNewest('a', Buffer.from(`<a${n}>`))
    output.pushNewest(`b${n % 3}`, Buffer.from(`<b${n}>`))
  }
  for (let n = 1; n <= 300; n++) output.pushNewest(`c${n}`, Buffer.from(`<c${n}>`))
  for (let n = 98; n <= 100; n++) output.pushNewest(`b${n % 3}`, Buffer.from(`<b${n}>`))
  output.pushNewest('a', Buffer.from('<a100>'))
  output.push(Buffer.from('<stored>'))
  far.resume()
  await eventually(() => Buffer.concat(text).toString().includes('<a100>'))
  const words = Buffer.concat(text).toString().replaceAll('.', '')
  t.match(words, /^<a0><stored><c49><c50>.*<c300><b98><b99><b100><a100>$/, 'and no more than 256 keys')
  output.pushNewest('a', Buffer.from('<a101>'))
  await eventually(() => Buffer.concat(text).toString().endsWith('<a101>'))
})

t.test('a turn that takes long holds nothing up', async (t) => {
  const { near } = await usePair(t)
  const flusher = new Flusher()
  const give = (bytes: string) =>
    new Output(near, { flusher, maxBytes: 1e9, onSlow: () => t.fail('slow') }).push(Buffer.from(bytes))
  let turned = false
  setImmediate(() => {
    turned = true
  })
  give('first')
  t.equal(near.bytesWritten, 0, 'it waits for what comes with it')
  const giveUpAt = performance.now() + 60_000
  while (near.bytesWritten === 0 && performance.now() < giveUpAt) {
    give('.')
    await new Promise<void>((resolve) => process.nextTick(resolve))
  }
  t.ok(near.bytesWritten > 0)
  t.notOk(turned, 'within the turn')
})
