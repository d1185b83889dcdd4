import { connect, createServer, type Socket } from 'node:net'
import t from 'tap'
import type { Hub } from '../stream/hub.js'
import { Connections } from './connections.js'
import { Flusher } from './output.js'
import { SseStream } from './sse-stream.js'
import { Wheel } from './wheel.js'

t.test('a stream that has to leave before its answer began just closes', async (t) => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve))
  const far = connect(port, '127.0.0.1')
  const near = await accepted
  const wheel = new Wheel({ roundMs: 25_000, ticks: 25, now: Date.now })
  t.teardown(() => {
    wheel.stop()
    near.destroy()
    far.destroy()
    server.close()
  })
  const connections = new Connections(
    { perUser: 32, connectsPerSecond: 100, connectBurst: 200 },
    { wheel, flusher: new Flusher(), now: Date.now },
  )
  const sse = new SseStream(
    near,
    {
      holder: { tenant: 'acme', userId: 'ada' },
      heartbeatEvents: false,
      rotateAfterMs: 60_000,
      expiresInMs: 60_000,
      maxQueuedBytes: 65_536,
    },
    { hub: {} as Hub, connections, onSlow: () => t.fail('slow'), onClosed: () => undefined },
  )
  const drained = connections.drain(10_000)
  t.ok(sse.closed)
  let heard = ''
  for await (const chunk of far.setEncoding('utf8')) heard += chunk
  t.equal(heard, '', 'nothing that no head stands before')
  far.destroy()
  await drained
  t.equal(connections.size, 0)
})
