import { createHash } from 'node:crypto'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { TestScope } from '@carillon/testkit'
import { eventually } from '@carillon/testkit'
import t, { type Test } from 'tap'
import { descriptorOf, loadNativeSend, type NativeSend } from './native-send.js'
import { Flusher, Output } from './output.js'

async function useServer(t: TestScope): Promise<Server> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return server
}

/** Both ends of a connection; the far one does not read. */
async function usePair(t: TestScope, server?: Server): Promise<{ near: Socket; far: Socket }> {
  const listening = server ?? (await useServer(t))
  const { port } = listening.address() as { port: number }
  const accepted = new Promise<Socket>((resolve) => listening.once('connection', resolve))
  const far = connect(port, '127.0.0.1')
  far.pause()
  const near = await accepted
  t.teardown(() => {
    far.destroy()
    near.destroy()
  })
  return { near, far }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

const native = await loadNativeSend()
const WAYS: readonly { name: string; send?: NativeSend; sends: boolean }[] = [
  { name: 'through the stream', sends: false },
  { name: 'past the stream, refused', send: () => -1, sends: false },
  ...(typeof native === 'string'
    ? []
    : [
        { name: 'past the stream', send: native, sends: true },
        {
          name: 'past the stream, half of it',
          send: (descriptor: number, bytes: Uint8Array) =>
            native(descriptor, bytes.subarray(0, bytes.length >> 1)),
          sends: true,
        },
      ]),
]

/** How bytes go to the sockets, and how many of them went past the streams. */
interface Way {
  flusher: Flusher
  past: () => number
  /** Whether any can. */
  sends: boolean
}

function eachWay(name: string, test: (t: Test, way: Way) => Promise<void>): void {
  for (const { name: way, send, sends } of WAYS) {
    t.test(`${name} (${way})`, async (t) => {
      let past = 0
      const counting: NativeSend = (descriptor, bytes) => {
        const sent = send?.(descriptor, bytes) ?? 0
        past += Math.max(0, sent)
        return sent
      }
      await test(t, { flusher: new Flusher(send && counting), past: () => past, sends })
    })
  }
}

t.test('the way past the stream is there on Linux', async (t) => {
  t.equal(typeof native, process.platform === 'linux' ? 'function' : 'string')
})

eachWay(
  'what waits for a client that does not read stays below the limit and one turn',
  async (t, { flusher }) => {
    const { near } = await usePair(t)
    const maxBytes = 1_048_576
    let slow = false
    const output = new Output(near, { flusher, maxBytes, onSlow: () => (slow = true) })
    const bytes = Buffer.alloc(16_384)
    let most = 0
    for (let count = 0; !slow && count < 4_000; count++) {
      for (let n = 0; n < 4; n++) output.push(bytes)
      await turn()
      most = Math.max(most, near.writableLength)
    }
    t.ok(slow, 'it is told')
    t.ok(most > maxBytes && most <= maxBytes + 4 * bytes.length, `${most} bytes at most`)
  },
)

eachWay('one large turn makes nobody slow, and goes out whole', async (t, { flusher }) => {
  const { near, far } = await usePair(t)
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

eachWay(
  'of what has no history only the newest waits, behind 256 KiB of what has',
  async (t, { flusher }) => {
    const { near, far } = await usePair(t)
    const output = new Output(near, { flusher, maxBytes: 1e9, onSlow: () => t.fail('slow') })
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
  },
)

eachWay('a turn that takes long holds nothing up', async (t, { flusher, past }) => {
  const { near } = await usePair(t)
  const give = (bytes: string) =>
    new Output(near, { flusher, maxBytes: 1e9, onSlow: () => t.fail('slow') }).push(Buffer.from(bytes))
  let turned = false
  setImmediate(() => {
    turned = true
  })
  give('first')
  const written = () => near.bytesWritten + past()
  t.equal(written(), 0, 'it waits for what comes with it')
  const giveUpAt = performance.now() + 60_000
  while (written() === 0 && performance.now() < giveUpAt) {
    give('.')
    await new Promise<void>((resolve) => process.nextTick(resolve))
  }
  t.ok(written() > 0)
  t.notOk(turned, 'within the turn')
})

eachWay('bytes keep their order, however the other side reads', async (t, { flusher, past, sends }) => {
  const { near, far } = await usePair(t)
  const output = new Output(near, { flusher, maxBytes: 1e9, onSlow: () => t.fail('slow') })
  const [given, taken] = [createHash('sha256'), createHash('sha256')]
  let [pushed, read] = [0, 0]
  far.on('data', (chunk) => {
    taken.update(chunk)
    read += chunk.length
  })
  const push = async () => {
    const bytes = Buffer.alloc(((pushed * 977) % 150_000) + 1, `${pushed} `)
    given.update(bytes)
    pushed += bytes.length
    output.push(bytes)
    await turn()
  }
  for (let round = 0; round < 8; round++) {
    far.pause()
    do await push()
    while (near.writableLength === 0)
    far.resume()
    // while the stream empties, and past that
    for (let n = 0; n < 60; n++) await push()
    if (round % 2 === 0) await eventually(() => read === pushed)
  }
  await eventually(() => read === pushed)
  t.equal(taken.digest('hex'), given.digest('hex'))
  t.ok(near.bytesWritten > 0, 'some waited')
  t.equal(near.bytesWritten + past(), pushed, 'nothing went twice')
  t.equal(past() > 0, sends, 'each on its way')
})

eachWay('who is gone ends the connection, not the process', async (t, { flusher }) => {
  const { near, far } = await usePair(t)
  const output = new Output(near, { flusher, maxBytes: 1e9, onSlow: () => t.fail('slow') })
  const failed = new Promise<NodeJS.ErrnoException>((resolve) => near.once('error', resolve))
  far.resetAndDestroy()
  output.push(Buffer.from('are you there?'))
  flusher.flush()
  t.match((await failed).syscall, /write|read/)
  t.ok(near.destroyed)
})

eachWay('after the end of a connection nothing is sent', async (t, { flusher }) => {
  const { near, far } = await usePair(t)
  const output = new Output(near, { flusher, maxBytes: 1e9, onSlow: () => t.fail('slow') })
  const heard: string[] = []
  far.on('data', (chunk) => heard.push(chunk.toString()))
  near.end('goodbye')
  output.push(Buffer.from('one more thing'))
  flusher.flush()
  far.resume()
  await new Promise((resolve) => far.once('end', resolve))
  t.same(heard, ['goodbye'])
})

eachWay('the next connection hears nothing of the one whose number it got', async (t, { flusher, past }) => {
  const server = await useServer(t)
  const { near } = await usePair(t, server)
  const output = new Output(near, { flusher, maxBytes: 1e9, onSlow: () => t.fail('slow') })
  const number = descriptorOf(near)
  t.ok(number > 0)
  output.push(Buffer.from('before'))
  near.destroy()
  t.ok(descriptorOf(near) < 0)
  // both ends are in this process, and the kernel gives the lowest number that is free
  let next = await usePair(t, server)
  const numbers = () => [descriptorOf(next.near), descriptorOf(next.far)]
  for (let tries = 0; !numbers().includes(number) && tries < 50; tries++) next = await usePair(t, server)
  t.ok(numbers().includes(number))
  const heard: string[] = []
  for (const [end, other] of [[next.near, next.far] as const, [next.far, next.near] as const]) {
    end.on('data', (chunk) => heard.push(chunk.toString()))
    end.resume()
    output.push(Buffer.from('after'))
    await turn()
    other.write('mine')
  }
  await eventually(() => heard.length === 2)
  t.same(heard, ['mine', 'mine'])
  t.equal(past(), 0)
})

t.test('who is closed while another is written to is not written to', async (t) => {
  const [first, second] = [(await usePair(t)).near, (await usePair(t)).near]
  const [numberOfFirst, written] = [descriptorOf(first), [] as number[]]
  const flusher = new Flusher((descriptor) => {
    written.push(descriptor)
    return -1
  })
  new Output(first, { flusher, maxBytes: -1, onSlow: () => second.destroy() }).push(Buffer.from('slow'))
  new Output(second, { flusher, maxBytes: 1e9, onSlow: () => t.fail('slow') }).push(Buffer.from('gone'))
  flusher.flush()
  t.ok(second.destroyed)
  t.same(written, [numberOfFirst])
})

t.test('what has to be encrypted goes through the stream', async (t) => {
  const { near } = await usePair(t)
  t.ok(descriptorOf(near) > 0)
  t.ok(descriptorOf(new TLSSocket(near, { isServer: true })) < 0)
})
