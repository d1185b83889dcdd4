import t from 'tap'
import {
  type CoreMessage,
  createWindowPublisher,
  lastOfSubject,
  readSubject,
  streamState,
  subscribeCore,
  wasPublished,
} from '../src/index.js'
import { connectTo, createStream, eventually, startNats } from './support.js'

const nats = await startNats(t)
const connection = await connectTo(t, nats.url)
await createStream(connection, 'LIVE', {
  subjects: ['rt.>'],
  persist_mode: 'async',
  max_msgs_per_subject: 50,
  republish: { src: 'rt.>', dest: 'live.>' },
})
const live = createWindowPublisher(connection, { stream: 'LIVE' })
const frame = (user: string, index: number) => ({
  subject: `rt.t.user.${user}`,
  body: `${user}${index}`,
  messageId: `${user}-${index}`,
})

t.test('a listener hears stored frames with their place and the place before', async (t) => {
  const heard: CoreMessage[] = []
  const subscription = subscribeCore(connection, 'live.t.user.a', (message) => heard.push(message))
  await connection.flush()
  await live.publishAll([frame('a', 1), frame('b', 1), frame('a', 2)])
  await eventually(() => heard.length === 2)
  t.same(
    heard.map((message) => [message.text(), message.sequence, message.previousSequence]),
    [
      ['a1', 1, 0],
      ['a2', 3, 1],
    ],
  )
  t.equal(heard[0]?.header('Nats-Msg-Id'), 'a-1')
  subscription.stop()
  subscription.stop()
  await live.publishAll([frame('a', 3)])
  await connection.flush()
  t.equal(heard.length, 2, 'and nothing after it stopped')
})

t.test('reads one subject from a place on, without the others, up to a limit', async (t) => {
  const range = { stream: 'LIVE', subject: 'rt.t.user.a', fromSequence: 2, limit: 10 }
  const frames = await readSubject(connection, range)
  t.same(
    frames.map(({ sequence, previousSequence, body }) => [
      sequence,
      previousSequence,
      Buffer.from(body).toString(),
    ]),
    [
      [3, undefined, 'a2'],
      [4, 3, 'a3'],
    ],
  )
  t.same((await readSubject(connection, { ...range, fromSequence: 0, limit: 1 })).length, 1)
  t.same(await readSubject(connection, { ...range, fromSequence: 100 }), [])
  t.same(await readSubject(connection, { ...range, subject: 'rt.t.user.nobody' }), [])
})

t.test('finds the last frame of a subject, or none', async (t) => {
  t.equal((await lastOfSubject(connection, 'LIVE', 'rt.t.user.a'))?.sequence, 4)
  t.equal(await lastOfSubject(connection, 'LIVE', 'rt.t.user.nobody'), undefined)
})

t.test('knows whether a frame was published since a time', async (t) => {
  const before = Date.now() - 60_000
  const asked = { stream: 'LIVE', subject: 'rt.t.user.a', sinceMs: before }
  t.equal(await wasPublished(connection, { ...asked, messageId: 'a-2' }), true)
  t.equal(
    await wasPublished(connection, { ...asked, messageId: 'b-1' }),
    false,
    'another subject does not count',
  )
  t.equal(await wasPublished(connection, { ...asked, sinceMs: Date.now() + 60_000, messageId: 'a-2' }), false)
})

t.test('tells the bounds of a stream and an epoch that changes with a restart', async (t) => {
  await live.publishAll(Array.from({ length: 60 }, (_, index) => frame('c', index)))
  const state = await streamState(connection, 'LIVE')
  t.match(state, { firstSequence: 1, lastSequence: 64, messages: 54 })
  t.ok(Math.abs(state.createdAt - Date.now()) < 60_000)
  await t.rejects(streamState(connection, 'NOWHERE'), { code: 'NOT_FOUND' })
  await nats.kill('SIGTERM')
  await eventually(() => !connection.connected)
  await nats.restart()
  await eventually(() => connection.connected)
  const after = await eventually(() => streamState(connection, 'LIVE'))
  t.equal(after.createdAt, state.createdAt)
  t.not(after.serverId, state.serverId)
})
