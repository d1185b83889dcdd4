import { useNatsCluster } from '@carillon/testkit'
import t from 'tap'
import { type Connection, consume, createPublisher, DONE, type Publisher } from '../src/index.js'
import { connectTo, createDurable, createStream, eventually, js, startNats } from './support.js'

/** What was on its way when its server died comes again after five seconds. */
const LOST_COMES_AGAIN = { ack_wait: 5_000_000_000 }

/** Publishes numbers without end from several callers; tells which were acknowledged. */
function produce(publisher: Publisher, subject: string): { acknowledged: string[]; stop(): Promise<void> } {
  const acknowledged: string[] = []
  let next = 0
  let stopped = false
  const caller = async (): Promise<void> => {
    while (!stopped) {
      const body = String(next++)
      await publisher.publish('EVENTS', { subject, body })
      acknowledged.push(body)
    }
  }
  const callers = Promise.all(Array.from({ length: 15 }, caller))
  return {
    acknowledged,
    stop: async () => {
      stopped = true
      await callers
    },
  }
}

function collect(connection: Connection): {
  seen: Set<string>
  longestStallMs(): number
  drain(): Promise<void>
} {
  const seen = new Set<string>()
  let lastAt = Date.now()
  let longest = 0
  const consumption = consume(
    connection,
    { stream: 'EVENTS', durable: 'worker', batch: 100, concurrency: 2 },
    (batch) => {
      longest = Math.max(longest, Date.now() - lastAt)
      lastAt = Date.now()
      for (const message of batch) seen.add(message.text())
      return batch.map(() => DONE)
    },
  )
  return {
    seen,
    longestStallMs: () => longest,
    drain: () => consumption.drain(),
  }
}

/** What was stored a moment ago may not be counted among what waits yet, so it is what was seen that is looked at. */
async function allSeen(producer: { acknowledged: string[] }, { seen }: { seen: Set<string> }): Promise<void> {
  await eventually(() => producer.acknowledged.every((body) => seen.has(body)))
}

t.test(
  'a server that is killed and comes back: publishing and consuming go on, nothing is lost',
  async (t) => {
    const nats = await startNats(t)
    const statuses: string[] = []
    const connection = await connectTo(t, nats.url, (status) => statuses.push(status.kind))
    await createStream(connection, 'EVENTS', { subjects: ['evt.>'], allow_atomic: true })
    await createDurable(connection, 'EVENTS', 'worker', LOST_COMES_AGAIN)
    const publisher = createPublisher(connection, { giveUpMs: 60_000 })
    const collector = collect(connection)
    const producer = produce(publisher, 'evt.normal.t.restart')
    for (let round = 0; round < 2; round++) {
      const before = collector.seen.size
      await eventually(() => collector.seen.size > before + 200)
      await nats.kill()
      await nats.restart()
    }
    const before = collector.seen.size
    await eventually(() => collector.seen.size > before + 200)
    await producer.stop()
    await allSeen(producer, collector)
    t.same(statuses.slice(0, 4), ['disconnected', 'connected', 'disconnected', 'connected'])
    await collector.drain()
    await publisher[Symbol.asyncDispose]()
  },
)

t.test('three nodes: leaders step down and one is killed; nothing acknowledged is lost', async (t) => {
  const cluster = await useNatsCluster(t, { maxStore: '200G' })
  const connection = await connectTo(t, cluster.urls)
  await createStream(connection, 'EVENTS', { subjects: ['evt.>'], allow_atomic: true, num_replicas: 3 })
  await createDurable(connection, 'EVENTS', 'worker', { ...LOST_COMES_AGAIN, num_replicas: 3 })
  const publisher = createPublisher(connection, { giveUpMs: 60_000, timeoutMs: 3_000 })
  const collector = collect(connection)
  const producer = produce(publisher, 'evt.normal.t.leader')
  const progress = async (): Promise<void> => {
    const before = collector.seen.size
    await eventually(() => collector.seen.size > before + 200, { timeoutMs: 40_000 })
  }
  await progress()
  await js(connection, 'STREAM.LEADER.STEPDOWN.EVENTS')
  await progress()
  await js(connection, 'CONSUMER.LEADER.STEPDOWN.EVENTS.worker')
  await progress()
  t.ok(collector.longestStallMs() < 25_000, `stepping down stalled for ${collector.longestStallMs()} ms`)
  const info = await js<{ cluster: { leader: string } }>(connection, 'STREAM.INFO.EVENTS')
  const leader = cluster.nodes[Number(info.cluster.leader.split('-')[1]) - 1]
  await leader?.kill()
  await progress()
  await leader?.restart()
  await producer.stop()
  await allSeen(producer, collector)
  t.comment(`longest stall ${collector.longestStallMs()} ms, ${producer.acknowledged.length} acknowledged`)
  await collector.drain()
  await publisher[Symbol.asyncDispose]()
})
