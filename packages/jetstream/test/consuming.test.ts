import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import {
  consume,
  createPublisher,
  DONE,
  dead,
  type Outcome,
  type Received,
  readSubject,
  retryAfter,
} from '../src/index.js'
import {
  connectTo,
  createDurable,
  createStream,
  eventually,
  js,
  startNats,
  UNHURRIED,
  whenAllAcknowledged,
} from './support.js'

const nats = await startNats(t)
const connection = await connectTo(t, nats.url)
const publisher = createPublisher(connection, UNHURRIED)
t.teardown(() => publisher[Symbol.asyncDispose]())
await createStream(connection, 'DEAD_LETTERS', { subjects: ['dlq.>'] })

let made = 0
/** A stream of its own for each test, with `count` messages numbered from 0. */
async function given(count: number, durable: object = {}): Promise<{ stream: string; subject: string }> {
  const stream = `S${++made}`
  const subject = `evt.normal.tenant-${made}.type`
  await createStream(connection, stream, { subjects: [`evt.normal.tenant-${made}.>`], allow_atomic: true })
  await createDurable(connection, stream, 'worker', durable)
  await publish(stream, subject, 0, count)
  return { stream, subject }
}

async function publish(stream: string, subject: string, from: number, count: number): Promise<void> {
  const messages = Array.from({ length: count }, (_, index) => ({
    subject,
    body: String(from + index),
    headers: { 'ce-id': String(from + index), 'Nats-Msg-Id': 'never sent' },
  }))
  const outcomes = await publisher.publishAll(stream, messages)
  if (!outcomes.every(({ ok }) => ok)) throw new Error('The messages of the test were not published.')
}

const allDone = (batch: Received[]): Outcome[] => batch.map(() => DONE)

t.test('hands every message over once, in batches, with its headers in any case', async (t) => {
  const { stream, subject } = await given(1_000)
  const seen: string[] = []
  const sizes: number[] = []
  const consumption = consume(
    connection,
    { stream, durable: 'worker', batch: 200, concurrency: 2 },
    (batch) => {
      sizes.push(batch.length)
      for (const message of batch) seen.push(message.header('CE-ID') ?? '')
      return allDone(batch)
    },
  )
  await whenAllAcknowledged(connection, stream)
  await consumption.whenCaughtUp()
  t.same(
    seen.map(Number).sort((a, b) => a - b),
    Array.from({ length: 1_000 }, (_, index) => index),
  )
  t.ok(Math.max(...sizes) <= 200)
  t.ok(sizes.length < 50, 'in batches')
  t.match(consumption.stats(), {
    received: 1_000,
    done: 1_000,
    dead: 0,
    running: 0,
    buffered: 0,
    bound: true,
  })
  await publish(stream, subject, 1_000, 1)
  await eventually(() => seen.length === 1_001)
  await consumption.drain()
})

t.test('a message given back comes again after its time and not before', async (t) => {
  const { stream } = await given(3)
  const times: { body: string; deliveries: number; at: number }[] = []
  const consumption = consume(connection, { stream, durable: 'worker', batch: 10, concurrency: 1 }, (batch) =>
    batch.map((message) => {
      times.push({ body: message.text(), deliveries: message.deliveries, at: Date.now() })
      return message.text() === '1' && message.deliveries === 1 ? retryAfter(300) : DONE
    }),
  )
  await whenAllAcknowledged(connection, stream)
  await consumption.whenCaughtUp()
  const [first, second] = times.filter(({ body }) => body === '1')
  t.equal(times.length, 4, 'the others came once')
  t.equal(second?.deliveries, 2)
  t.ok((second?.at ?? 0) - (first?.at ?? 0) >= 290)
  await consumption.drain()
})

t.test('a dead message becomes a dead letter that tells its story and comes no more', async (t) => {
  const { stream, subject } = await given(3)
  const buried: string[] = []
  const consumption = consume(
    connection,
    { stream, durable: 'worker', batch: 10, concurrency: 1 },
    (batch) => batch.map((message) => (message.text() === '1' ? dead('No such\r\nuser.') : DONE)),
    { onDead: (message, reason) => buried.push(`${message.sequence} ${reason}`) },
  )
  await whenAllAcknowledged(connection, stream)
  await consumption.whenCaughtUp()
  const tenant = subject.split('.')[2]
  const [letter, ...more] = await readSubject(connection, {
    stream: 'DEAD_LETTERS',
    subject: `dlq.${stream}.worker.${tenant}`,
    fromSequence: 1,
    limit: 10,
  })
  t.equal(more.length, 0)
  t.equal(Buffer.from(letter?.body ?? []).toString(), '1')
  const headers = Object.fromEntries(letter?.headers ?? [])
  t.match(headers, {
    'carillon-reason': 'No such user.',
    'carillon-subject': subject,
    'carillon-stream': stream,
    'carillon-sequence': '2',
    'carillon-deliveries': '1',
    'ce-id': '1',
  })
  t.match(headers['carillon-at'], /^\d{4}-\d\d-\d\dT/)
  t.same(buried, ['2 No such\r\nuser.'])
  t.equal(consumption.stats().dead, 1)
  await consumption.drain()
})

t.test('one poison message is isolated and buried while those behind it go on', async (t) => {
  const { stream, subject } = await given(200)
  const handled = new Set<string>()
  let throws = 0
  const consumption = consume(
    connection,
    { stream, durable: 'worker', batch: 100, concurrency: 1, maxFailures: 2 },
    (batch) => {
      if (batch.some((message) => message.text() === '42')) {
        throws++
        throw new Error('42 has no name')
      }
      for (const message of batch) handled.add(message.text())
      return allDone(batch)
    },
  )
  await eventually(() => handled.size === 199)
  await publish(stream, subject, 200, 100)
  await eventually(() => handled.size === 299)
  await whenAllAcknowledged(connection, stream)
  await consumption.whenCaughtUp()
  const letters = await readSubject(connection, {
    stream: 'DEAD_LETTERS',
    subject: `dlq.${stream}.worker.${subject.split('.')[2]}`,
    fromSequence: 1,
    limit: 10,
  })
  t.equal(letters.length, 1)
  t.match(letters[0]?.headers.get('carillon-reason'), /failed 2 times: 42 has no name/)
  t.ok(throws < 20, `the search took ${throws} throws`)
  await consumption.drain()
})

t.test(
  'while the world is broken nothing is buried and nothing is redelivered; then it goes on',
  async (t) => {
    const { stream } = await given(50)
    let broken = true
    let failures = 0
    const deliveries: number[] = []
    const consumption = consume(
      connection,
      { stream, durable: 'worker', batch: 50, concurrency: 1, maxFailures: 1 },
      (batch) => {
        if (broken) throw Object.assign(new Error('database away'), { transient: true })
        deliveries.push(...batch.map((message) => message.deliveries))
        return allDone(batch)
      },
      { onFailure: () => failures++ },
    )
    await eventually(() => failures >= 3)
    broken = false
    await whenAllAcknowledged(connection, stream)
    await consumption.whenCaughtUp()
    t.same(new Set(deliveries), new Set([1]), 'held, not given back')
    t.equal(deliveries.length, 50)
    t.equal(consumption.stats().dead, 0)
    await consumption.drain()
  },
)

t.test('a handler that is slower than the ack wait keeps its messages and those behind them', async (t) => {
  const { stream } = await given(6, { ack_wait: 4_000_000_000 })
  const deliveries: number[] = []
  const consumption = consume(
    connection,
    { stream, durable: 'worker', batch: 2, concurrency: 1 },
    async (batch) => {
      if (deliveries.length === 0) await sleep(5_000)
      deliveries.push(...batch.map((message) => message.deliveries))
      return allDone(batch)
    },
  )
  await whenAllAcknowledged(connection, stream)
  await consumption.whenCaughtUp()
  t.same(deliveries, [1, 1, 1, 1, 1, 1])
  await consumption.drain()
})

t.test('back-pressure: a stuck handler leaves the rest in the stream', async (t) => {
  const { stream } = await given(1_000, { max_ack_pending: 60 })
  let release = (): void => undefined
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  const consumption = consume(
    connection,
    { stream, durable: 'worker', batch: 10, concurrency: 2 },
    async (batch) => {
      await gate
      return allDone(batch)
    },
  )
  await eventually(() => consumption.stats().running === 2 && consumption.stats().buffered === 10)
  await connection.flush()
  t.match(
    consumption.stats(),
    { received: 30, requested: 0 },
    'no more than batch × (concurrency + 1) was pulled',
  )
  const info = await js<{ num_pending: number }>(connection, `CONSUMER.INFO.${stream}.worker`)
  t.equal(info.num_pending, 970)
  await eventually(() => consumption.stats().longestRunningMs > 50)
  release()
  await whenAllAcknowledged(connection, stream)
  await consumption.whenCaughtUp()
  await consumption.drain()
})

t.test('never asks for more than the durable allows unacknowledged', async (t) => {
  const { stream } = await given(100, { max_ack_pending: 7 })
  let most = 0
  const consumption = consume(
    connection,
    { stream, durable: 'worker', batch: 50, concurrency: 4 },
    (batch) => {
      most = Math.max(most, batch.length)
      return allDone(batch)
    },
  )
  await whenAllAcknowledged(connection, stream)
  await consumption.whenCaughtUp()
  t.ok(most <= 7)
  t.ok(consumption.stats().requested <= 7)
  await consumption.drain()
})

t.test('drain finishes what runs, gives back the rest at once and loses nothing', async (t) => {
  const { stream } = await given(300)
  const first: string[] = []
  const second: string[] = []
  const one = consume(connection, { stream, durable: 'worker', batch: 50, concurrency: 1 }, async (batch) => {
    await sleep(50)
    first.push(...batch.map((message) => message.text()))
    return allDone(batch)
  })
  await eventually(() => first.length > 0)
  const drained = one.drain()
  t.equal(one.drain(), drained, 'draining twice is draining once')
  await drained
  const until = first.length
  t.ok(until < 300)
  const two = consume(connection, { stream, durable: 'worker', batch: 50, concurrency: 1 }, (batch) => {
    second.push(...batch.map((message) => message.text()))
    return allDone(batch)
  })
  const startedAt = Date.now()
  await whenAllAcknowledged(connection, stream)
  await two.whenCaughtUp()
  t.ok(Date.now() - startedAt < 25_000, 'without waiting for the ack wait of 30 s')
  t.equal(new Set([...first, ...second]).size, 300)
  t.equal(first.length + second.length, 300, 'and nothing was handled twice')
  await two.drain()
})

t.test('waits for a durable that is not there yet and says which command makes it', async (t) => {
  await createStream(connection, 'LATE', { subjects: ['evt.normal.late.>'] })
  const missing: string[] = []
  const handled: string[] = []
  const consumption = consume(
    connection,
    { stream: 'LATE', durable: 'worker', batch: 5, concurrency: 1 },
    (batch) => {
      handled.push(...batch.map((message) => message.text()))
      return allDone(batch)
    },
    { onMissing: (error) => missing.push(error.message) },
  )
  await eventually(() => missing.length > 0)
  t.match(missing[0], /LATE has no durable worker.*carillon topology apply/)
  t.equal(consumption.stats().bound, false)
  await createDurable(connection, 'LATE', 'worker')
  await publisher.publish('LATE', { subject: 'evt.normal.late.x', body: 'hello' })
  await eventually(() => handled.length === 1)
  await consumption.drain()
})

t.test('goes on when its durable was deleted and made again', async (t) => {
  const { stream, subject } = await given(1)
  const handled: string[] = []
  const consumption = consume(
    connection,
    { stream, durable: 'worker', batch: 5, concurrency: 1 },
    (batch) => {
      handled.push(...batch.map((message) => message.text()))
      return allDone(batch)
    },
  )
  await eventually(() => handled.length === 1)
  await js(connection, `CONSUMER.DELETE.${stream}.worker`)
  await createDurable(connection, stream, 'worker', { deliver_policy: 'new' })
  await publish(stream, subject, 1, 1)
  await eventually(() => handled.includes('1'))
  t.same(handled, ['0', '1'])
  await consumption.drain()
})
