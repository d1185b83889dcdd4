import { eventually, type NodeProcess, type TestScope, useNodeProcess } from '@carillon/testkit'
import t from 'tap'
import { createWires } from '../src/protocol/wires.js'
import { EncodedFrame } from '../src/stream/encoded-frame.js'
import { LightSse, LightWebSocket } from './light-clients.js'
import { signToken, TOKEN_KEY, useLive } from './mesh.js'

const MAIN = new URL('../src/main.js', import.meta.url).pathname
const TELL_MEMORY = new URL('./tell-memory.js', import.meta.url).href

/** So that what a process keeps for everybody is there before it is measured. */
const WARM_UP = 100
const CLIENTS = 500
/** 6,000 to 7,000 are held; a request that is not let go makes it 5,000 more, the library's subscriptions 1,500. */
const MOST_BYTES = 10_000

for (const Kind of [LightWebSocket, LightSse]) {
  t.test(`an idle connection costs little: ${Kind.name}`, async (t) => {
    const { nats } = await useLive(t)
    const node = await useNodeProcess(t, {
      script: MAIN,
      env: {
        NATS_URL: nats.url,
        NODE_OPTIONS: `--import ${TELL_MEMORY}`,
        CARILLON_PORT: '0',
        CARILLON_TOKEN_KEY: TOKEN_KEY,
      },
      ready: /realtime\.listening/,
    })
    const { url } = JSON.parse(await node.line(/realtime\.listening/)) as { url: string }
    await open(t, Kind, { url, from: 0, count: WARM_UP })
    const before = await heldBy(node)
    await open(t, Kind, { url, from: WARM_UP, count: CLIENTS })
    const each = ((await heldBy(node)) - before) / CLIENTS
    t.ok(each < MOST_BYTES, `${Math.round(each)} bytes each`)
  })
}

t.test('everybody in a channel is sent the same bytes', (t) => {
  const channel = { name: 'room:a', tag: 'aaaa', epoch: 'abcdef' }
  const frame = new EncodedFrame(channel, { sequence: 5, previous: 3, json: '{"n":1}' })
  const wires = createWires()
  for (const wire of [...Object.values(wires.json), ...Object.values(wires.protobuf)]) {
    t.equal(frame.push(wire), frame.push(wire))
  }
  t.equal(frame.event, frame.event)
  t.end()
})

/** Connects people, each with their own channel, until the test ends. */
async function open(
  t: TestScope,
  Kind: typeof LightSse | typeof LightWebSocket,
  { url, from, count }: { url: string; from: number; count: number },
): Promise<void> {
  const crowd = { url: () => url, returnWithinMs: 100, onReady: () => undefined }
  const clients = await Promise.all(
    Array.from(
      { length: count },
      async (_, index) => new Kind(await signToken({ user: `u${from + index}` }), crowd),
    ),
  )
  t.teardown(() => {
    for (const client of clients) client.stop()
  })
  for (const client of clients) client.start()
  await eventually(() => clients.every(({ ready }) => ready), { timeoutMs: 60_000 })
}

/** Bytes that the process holds once its garbage is collected. */
async function heldBy(node: NodeProcess): Promise<number> {
  const said = () => node.lines.filter((line) => line.startsWith('held '))
  const before = said().length
  process.kill(node.pid, 'SIGWINCH')
  return Number(await eventually(() => said()[before]?.slice('held '.length)))
}
