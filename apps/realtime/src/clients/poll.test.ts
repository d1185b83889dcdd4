import t from 'tap'
import { Connections } from './connections.js'
import { Flusher } from './output.js'
import { Poll } from './poll.js'
import { Wheel } from './wheel.js'

t.test('a poll that has to leave while its channels still join answers as soon as they have', async (t) => {
  const wheel = new Wheel({ roundMs: 25_000, ticks: 25, now: Date.now })
  t.teardown(() => wheel.stop())
  const connections = new Connections(
    { perUser: 32, connectsPerSecond: 100, connectBurst: 200 },
    { wheel, flusher: new Flusher(), now: Date.now },
  )
  let released = 0
  const poll = new Poll(
    { holder: { tenant: 'acme', userId: 'ada' }, waitMs: 25_000 },
    { hub: { detach: () => undefined }, connections, onClosed: () => released++ },
  )
  const drained = connections.drain(10_000)
  t.notOk(poll.closed, 'it has no positions yet')
  poll.begin([], () => () => undefined)
  t.ok(poll.closed)
  t.match(JSON.parse((await poll.answer) ?? ''), { events: [], channels: {} })
  await drained
  t.same([released, connections.size], [1, 0])
})
