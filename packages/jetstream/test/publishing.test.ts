import t from 'tap'
import { wireOf } from '../src/connection.js'
import {
  createPublisher,
  createWindowPublisher,
  type OutgoingMessage,
  readSubject,
  streamState,
} from '../src/index.js'
import { connectTo, createStream, eventually, js, startNats, UNHURRIED } from './support.js'

const nats = await startNats(t)
const connection = await connectTo(t, nats.url)
const message = (subject: string, body = 'x'): OutgoingMessage => ({ subject, body })
const many = (count: number, subject: string): OutgoingMessage[] =>
  Array.from({ length: count }, () => message(subject))

await createStream(connection, 'EVENTS', { subjects: ['evt.>'], allow_atomic: true, max_msg_size: 10_000 })
await createStream(connection, 'JOBS', {
  subjects: ['job.>'],
  retention: 'workqueue',
  discard: 'new',
  discard_new_per_subject: true,
  max_msgs_per_subject: 20,
  allow_atomic: true,
})
await createStream(connection, 'LIVE', {
  subjects: ['rt.>'],
  persist_mode: 'async',
  max_msgs_per_subject: 200,
})
const publisher = createPublisher(connection, UNHURRIED)
t.teardown(() => publisher[Symbol.asyncDispose]())

t.test('resolves each caller with the sequence its message was stored under', async (t) => {
  const sequences = await Promise.all(
    Array.from({ length: 300 }, (_, index) =>
      publisher.publish('EVENTS', message('evt.normal.t.seq', String(index))),
    ),
  )
  t.equal(new Set(sequences).size, 300, 'every message has a place of its own')
  const stored = await readSubject(connection, {
    stream: 'EVENTS',
    subject: 'evt.normal.t.seq',
    fromSequence: 1,
    limit: 300,
  })
  const bodies = new Map(stored.map(({ sequence, body }) => [sequence, Buffer.from(body).toString()]))
  t.ok(sequences.every((sequence, index) => bodies.get(sequence) === String(index)))
})

t.test('publishes more than a thousand messages in one call, in order', async (t) => {
  const outcomes = await publisher.publishAll('EVENTS', many(2_500, 'evt.bulk.t.large'))
  const sequences = outcomes.map((outcome) => (outcome.ok ? (outcome.sequence ?? 0) : -1))
  t.equal(sequences.filter((sequence) => sequence > 0).length, 2_500)
  t.same(
    sequences,
    [...sequences].sort((a, b) => a - b),
  )
})

t.test("one producer's repeated event neither refuses nor delays another's in the same window", async (t) => {
  const repeated = (): OutgoingMessage => ({
    ...message('evt.high.a.repeated'),
    messageId: 'the-same',
    headers: { 'Nats-Msg-Id': 'the-same', 'ce-id': '1' },
  })
  const before = wireOf(connection).nats.stats().outMsgs
  const mine = Array.from({ length: 30 }, () => publisher.publish('EVENTS', repeated()))
  const others = Array.from({ length: 30 }, () => publisher.publish('EVENTS', message('evt.high.b.other')))
  await t.resolves(Promise.all([...mine, ...others]), 'nobody is refused')
  const sent = wireOf(connection).nats.stats().outMsgs - before
  t.equal(sent, 60, 'nobody had to be published a second time')
  const stored = await readSubject(connection, {
    stream: 'EVENTS',
    subject: 'evt.high.b.other',
    fromSequence: 1,
    limit: 100,
  })
  t.equal(stored.length, 30, 'the others are stored once each')
})

t.test('a full subject refuses its own messages and nobody else', async (t) => {
  await publisher.publishAll('JOBS', many(20, 'job.push.bulk.t1'))
  const batch = ['t0', 't1', 't2', 't3', 't4'].flatMap((tenant) => many(4, `job.push.bulk.${tenant}`))
  const outcomes = await publisher.publishAll('JOBS', batch)
  for (const [index, outcome] of outcomes.entries()) {
    const isFull = batch[index]?.subject.endsWith('t1') === true
    if (isFull) t.equal(!outcome.ok && outcome.error.code, 'FULL')
    else t.ok(outcome.ok, batch[index]?.subject ?? '')
  }
  t.equal((await streamState(connection, 'JOBS')).messages, 36)
})

t.test('a full stream refuses all of a large batch at once, in a handful of requests', async (t) => {
  await createStream(connection, 'SMALL', {
    subjects: ['small.>'],
    discard: 'new',
    max_msgs: 10,
    allow_atomic: true,
  })
  await publisher.publishAll('SMALL', many(10, 'small.x'))
  const batch = Array.from({ length: 300 }, (_, index) => message(`small.${index}`))
  const before = wireOf(connection).nats.stats().outMsgs
  const outcomes = await publisher.publishAll('SMALL', batch)
  const sent = wireOf(connection).nats.stats().outMsgs - before
  // at once: the moment is a tenth of a second
  await publisher.publishAll('SMALL', batch)
  t.equal(
    wireOf(connection).nats.stats().outMsgs - before,
    sent,
    'and the next are not even sent for a moment',
  )
  t.ok(outcomes.every((outcome) => !outcome.ok && outcome.error.code === 'FULL'))
  t.ok(sent <= 305, `${sent} messages sent`)
})

t.test('takes messages of a subject again soon after it has room', async (t) => {
  const [refused] = await publisher.publishAll('JOBS', [message('job.push.bulk.t1')])
  t.equal(refused?.ok, false)
  const first = await readSubject(connection, {
    stream: 'JOBS',
    subject: 'job.push.bulk.t1',
    fromSequence: 1,
    limit: 1,
  })
  await js(connection, 'STREAM.MSG.DELETE.JOBS', { seq: first[0]?.sequence })
  await eventually(async () => (await publisher.publishAll('JOBS', [message('job.push.bulk.t1')]))[0]?.ok)
  t.pass('published')
})

t.test('finds the one bad message of a batch and publishes the others', async (t) => {
  const batch = many(100, 'evt.normal.t.mixed')
  batch[37] = message('evt.normal.t.mixed', 'y'.repeat(20_000))
  batch[38] = message('evt.normal.t.bad subject')
  batch[39] = { ...message('evt.normal.t.mixed'), headers: { 'X-Evil': 'a\r\nNats-Rollup: all' } }
  batch[40] = message('evt.normal.t.*')
  batch[41] = message('job.push.normal.elsewhere')
  const outcomes = await publisher.publishAll('EVENTS', batch)
  const codes = outcomes.map((outcome) => (outcome.ok ? 'ok' : outcome.error.code))
  t.same(codes.slice(37, 42), ['TOO_LARGE', 'REFUSED', 'REFUSED', 'REFUSED', 'REFUSED'])
  t.equal(codes.filter((code) => code === 'ok').length, 95)
  const stored = await readSubject(connection, {
    stream: 'EVENTS',
    subject: 'evt.normal.t.mixed',
    fromSequence: 1,
    limit: 200,
  })
  t.equal(stored.length, 95, 'each of the good ones once')
})

t.test('says at once that a stream does not exist and which command makes it', async (t) => {
  await t.rejects(publisher.publish('NOWHERE', message('nowhere.x')), {
    code: 'NO_STREAM',
    message: /carillon topology apply/,
  })
})

t.test('refuses a message over the limit of the server without losing the connection', async (t) => {
  await t.rejects(publisher.publish('EVENTS', message('evt.normal.t.huge', 'z'.repeat(2_000_000))), {
    code: 'TOO_LARGE',
  })
  await t.resolves(publisher.publish('EVENTS', message('evt.normal.t.small')))
})

t.test('the window publisher stores a repeated message id once and keeps the order', async (t) => {
  const live = createWindowPublisher(connection, { stream: 'LIVE', window: 50, ...UNHURRIED })
  const frames = Array.from({ length: 150 }, (_, index) => ({
    ...message('rt.t.user.u', String(index)),
    messageId: `f${index}`,
  }))
  const first = await live.publishAll(frames)
  const second = await live.publishAll(frames)
  t.ok(first.every((outcome) => outcome.ok && outcome.duplicate !== true))
  t.ok(second.every((outcome) => outcome.ok && outcome.duplicate === true))
  t.same(
    second.map((outcome) => outcome.ok && outcome.sequence),
    first.map((outcome) => outcome.ok && outcome.sequence),
  )
  const stored = await readSubject(connection, {
    stream: 'LIVE',
    subject: 'rt.t.user.u',
    fromSequence: 1,
    limit: 200,
  })
  t.same(
    stored.map(({ body }) => Buffer.from(body).toString()),
    frames.map(({ body }) => body),
  )
  await live[Symbol.asyncDispose]()
})

t.test(
  'everything acknowledged is stored when the server is killed in the middle and comes back',
  async (t) => {
    await using publisher = createPublisher(connection, { giveUpMs: 60_000 })
    const acknowledged: string[] = []
    let next = 0
    let stop = false
    const producer = async (): Promise<void> => {
      while (!stop) {
        const id = String(next++)
        await publisher.publish('EVENTS', message('evt.normal.t.kill', id))
        acknowledged.push(id)
      }
    }
    const producers = Promise.all(Array.from({ length: 20 }, producer))
    await eventually(() => acknowledged.length > 100)
    await nats.kill('SIGKILL')
    t.equal(await eventually(() => !connection.connected), true, 'the connection says that it is down')
    const before = acknowledged.length
    await nats.restart()
    await eventually(() => acknowledged.length > before + 100)
    stop = true
    await producers
    const stored = new Set<string>()
    for (let from = 1; ; ) {
      const page = await readSubject(connection, {
        stream: 'EVENTS',
        subject: 'evt.normal.t.kill',
        fromSequence: from,
        limit: 500,
      })
      for (const { body } of page) stored.add(Buffer.from(body).toString())
      from = (page.at(-1)?.sequence ?? 0) + 1
      if (page.length < 500) break
    }
    t.same(
      acknowledged.filter((id) => !stored.has(id)),
      [],
      'nothing acknowledged is lost',
    )
  },
)
