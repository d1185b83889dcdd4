import t from 'tap'
import {
  consume,
  countLetters,
  createWindowPublisher,
  dead,
  findLetter,
  type Letter,
  PublishError,
  readLetters,
  readSubject,
  redriveLetter,
  streamState,
} from '../src/index.js'
import { connectTo, createDurable, createStream, eventually, js, startNats } from './support.js'

const nats = await startNats(t)
const connection = await connectTo(t, nats.url)
await createStream(connection, 'EVENTS', { subjects: ['evt.>'] })
await createStream(connection, 'RECEIPTS', { subjects: ['rcp.>'] })
await createStream(connection, 'DEAD_LETTERS', { subjects: ['dlq.>'] })
await createDurable(connection, 'EVENTS', 'worker')
await createDurable(connection, 'RECEIPTS', 'worker')
const events = createWindowPublisher(connection, { stream: 'EVENTS' })
const receipts = createWindowPublisher(connection, { stream: 'RECEIPTS' })
t.teardown(() => Promise.all([events, receipts].map((publisher) => publisher[Symbol.asyncDispose]())))
for (const stream of ['EVENTS', 'RECEIPTS']) {
  const consumption = consume(
    connection,
    { stream, durable: 'worker', batch: 8, concurrency: 1 },
    async (batch) => batch.map((message) => dead(`it was ${message.text()}`)),
  )
  t.teardown(() => consumption.drain())
}
const all = () => readLetters(connection, { fromSequence: 1, limit: 100 })
const stored = (stream: string, subject: string) =>
  readSubject(connection, { stream, subject, fromSequence: 1, limit: 100 })

t.test('letters are read by stream and tenant, each with its story', async (t) => {
  const headers = { 'ce-id': 'r1', 'ce-type': 'a.b' }
  await events.publish({ subject: 'evt.normal.acme.a.b', body: 'bad', headers, messageId: 'once' })
  await events.publish({ subject: 'evt.normal.globex.a.b', body: 'worse' })
  await receipts.publish({ subject: 'rcp.push.opened.acme', body: 'odd' })
  await eventually(async () => (await all()).length === 3)
  const of = async (wanted: { stream?: string; tenant?: string }) =>
    (await readLetters(connection, { ...wanted, fromSequence: 1, limit: 100 }))
      .map(({ subject }) => subject)
      .sort()
  t.same(await of({ stream: 'EVENTS' }), ['evt.normal.acme.a.b', 'evt.normal.globex.a.b'])
  t.same(await of({ tenant: 'acme' }), ['evt.normal.acme.a.b', 'rcp.push.opened.acme'])
  t.same(await of({ stream: 'RECEIPTS', tenant: 'globex' }), [])
  const letter = (await all()).find(({ reason }) => reason === 'it was bad') as Letter
  t.match(letter, {
    stream: 'EVENTS',
    durable: 'worker',
    tenant: 'acme',
    originalSequence: 1,
    deliveries: 1,
    replayed: false,
    headers,
  })
  t.same(Object.keys(letter.headers).sort(), ['ce-id', 'ce-type'], 'its own headers and no others')
  t.same(await findLetter(connection, letter.sequence), letter)
  t.equal(await findLetter(connection, 99), undefined)
  t.same([...(await countLetters(connection))].sort(), [
    ['EVENTS', 2],
    ['RECEIPTS', 1],
  ])
})

t.test('a letter goes out once however often it is sent off, and is gone only after that', async (t) => {
  const letter = (await all()).find(({ reason }) => reason === 'it was bad') as Letter
  const at = new Date()
  const sequence = await redriveLetter(connection, letter, at)
  t.equal(await redriveLetter(connection, letter, at), sequence, 'a repetition is the same message')
  const sent = await stored('EVENTS', 'evt.normal.acme.a.b')
  t.equal(sent.length, 2)
  t.equal(Buffer.from(sent[1]?.body ?? '').toString(), 'bad')
  t.equal(sent[1]?.headers.get('ce-id'), 'r1')
  t.match(sent[1]?.headers.get('carillon-replayed'), new RegExp(`^${letter.sequence} \\d{4}-`))
  t.equal(await findLetter(connection, letter.sequence), undefined)
  await eventually(async () => (await all()).length === 3)
  const again = (await all()).find(({ reason }) => reason === 'it was bad') as Letter
  t.match(again, { replayed: true, originalSequence: sequence }, 'what dies again says that it was tried')
  await redriveLetter(connection, again, at)
  t.equal((await stored('EVENTS', 'evt.normal.acme.a.b')).length, 3, 'and can be sent off again')
})

t.test('a letter whose stream takes nothing stays', async (t) => {
  const letter = (await all()).find(({ stream }) => stream === 'RECEIPTS') as Letter
  await js(connection, 'STREAM.UPDATE.RECEIPTS', {
    name: 'RECEIPTS',
    subjects: ['rcp.>'],
    allow_direct: true,
    max_msgs: 1,
    discard: 'new',
  })
  await t.rejects(redriveLetter(connection, letter, new Date()), PublishError)
  t.ok(await findLetter(connection, letter.sequence))
  t.equal((await streamState(connection, 'RECEIPTS')).messages, 1)
})
