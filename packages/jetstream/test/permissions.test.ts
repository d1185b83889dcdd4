import { readFile } from 'node:fs/promises'
import { useNats } from '@carillon/testkit'
import t from 'tap'
import {
  answerQuestions,
  applyTopology,
  ask,
  type Connection,
  consume,
  countLetters,
  createPublisher,
  createWindowPublisher,
  DONE,
  dead,
  findLetter,
  loadTopology,
  openConnection,
  readLetters,
  readSubject,
  redriveLetter,
  rolePermissions,
  subscribeCore,
} from '../src/index.js'
import { eventually } from './support.js'

const folder = new URL('../../../../nats/', import.meta.url)
const text = await readFile(new URL('topology.yaml', folder), 'utf8')
const topology = loadTopology(text, [await readFile(new URL('environments/single.yaml', folder), 'utf8')])
const users = rolePermissions(topology).map(({ role, publish, subscribe }) => ({
  user: role,
  password: 'test',
  permissions: { publish, subscribe },
}))
const nats = await useNats(t, {
  maxStore: '200G',
  extraConfig: { accounts: { MESH: { jetstream: true, users } } },
})

async function as(role: string, onError: (message: string) => void = () => undefined): Promise<Connection> {
  const connection = await openConnection({
    servers: nats.url,
    name: role,
    inboxPrefix: `_INBOX_${role}`,
    credentials: { kind: 'password', user: role, password: 'test' },
    onStatus: (status) => status.kind === 'error' && onError(status.error.message),
  })
  t.teardown(() => connection.close())
  return connection
}

t.test('each role can do its work with the permissions it is given', async (t) => {
  await applyTopology(await as('topology'), topology)
  const problems: string[] = []
  const [gateway, dispatcher, push, realtime, history] = await Promise.all(
    ['gateway', 'dispatcher', 'delivery-push', 'realtime', 'history'].map((role) =>
      as(role, (message) => problems.push(`${role}: ${message}`)),
    ),
  )
  if (!gateway || !dispatcher || !push || !realtime || !history) throw new Error('not connected')

  const heard: string[] = []
  subscribeCore(realtime, 'live.acme.user.u1', (message) => heard.push(message.text()))
  await realtime.flush()
  const jobs = createPublisher(dispatcher)
  const frames = createWindowPublisher(dispatcher, { stream: 'LIVE' })
  const events = consume(
    dispatcher,
    { stream: 'EVENTS', durable: 'dispatcher-high', batch: 10, concurrency: 1 },
    async (batch) => {
      await jobs.publishAll('JOBS_PUSH', [{ subject: 'job.push.high.acme', body: 'job' }])
      await frames.publishAll([{ subject: 'rt.acme.user.u1', body: 'frame', messageId: 'f1' }])
      return batch.map(() => DONE)
    },
  )
  const receipts = createPublisher(push)
  const worker = consume(
    push,
    { stream: 'JOBS_PUSH', durable: 'push-high', batch: 10, concurrency: 1 },
    async (batch) => {
      await receipts.publishAll('RECEIPTS', [{ subject: 'rcp.push.accepted.acme', body: 'receipt' }])
      return batch.map(() => dead('to see that it may'))
    },
  )
  const seen: string[] = []
  const historian = consume(
    history,
    { stream: 'RECEIPTS', durable: 'history', batch: 10, concurrency: 1 },
    (batch) => {
      seen.push(...batch.map((message) => message.text()))
      return batch.map(() => DONE)
    },
  )
  await createPublisher(gateway).publish('EVENTS', { subject: 'evt.high.acme.otp.requested', body: '{}' })
  await eventually(() => seen.length === 1 && heard.length === 1 && worker.stats().dead === 1)
  const stored = await readSubject(realtime, {
    stream: 'LIVE',
    subject: 'rt.acme.user.u1',
    fromSequence: 1,
    limit: 5,
  })
  t.equal(stored.length, 1)
  await Promise.all([events.whenCaughtUp(), worker.whenCaughtUp(), historian.whenCaughtUp()])
  t.same(problems, [], 'nothing was denied on the way')
  await Promise.all([events.drain(), worker.drain(), historian.drain()])
})

t.test('a role is refused what is not its own, at once and by name', async (t) => {
  const push = await as('delivery-push')
  const publisher = createPublisher(push)
  for (const [stream, subject] of [
    ['EVENTS', 'evt.high.acme.x'],
    ['RECEIPTS', 'rcp.email.accepted.acme'],
    ['AUDIT', '$JS.API.STREAM.DELETE.AUDIT'],
  ] as const) {
    await t.rejects(publisher.publish(stream, { subject, body: 'x' }), {
      code: 'REFUSED',
      message: /not permitted/,
    })
  }
  const heard: string[] = []
  const errors: string[] = []
  const spy = await as('gateway', (message) => errors.push(message))
  subscribeCore(spy, 'live.>', (message) => heard.push(message.text()))
  await eventually(() => errors.length > 0)
  t.match(errors[0], /permissions violation/i)
})

t.test('an operator reads letters and sends them back where they were, and nothing else', async (t) => {
  const denied: string[] = []
  const [operator, gateway, dispatcher] = await Promise.all(
    ['operator', 'gateway', 'dispatcher'].map((role) =>
      as(role, (message) => denied.push(`${role}: ${message}`)),
    ),
  )
  if (!operator || !gateway || !dispatcher) throw new Error('not connected')
  let bury = true
  const heard: string[] = []
  const worker = consume(
    dispatcher,
    { stream: 'EVENTS', durable: 'dispatcher-bulk', batch: 1, concurrency: 1 },
    async (batch) => {
      heard.push(...batch.map((message) => message.text()))
      return batch.map(() => (bury ? dead('its tenant is not there yet') : DONE))
    },
  )
  await createPublisher(gateway).publish('EVENTS', { subject: 'evt.bulk.later.a.b', body: 'event' })
  await eventually(async () => (await countLetters(operator)).get('EVENTS') === 1)
  const [letter] = await readLetters(operator, { stream: 'EVENTS', fromSequence: 1, limit: 10 })
  if (letter === undefined) throw new Error('no letter')
  bury = false
  await redriveLetter(operator, letter, new Date())
  await eventually(() => heard.length === 2)
  t.equal(await findLetter(operator, letter.sequence), undefined)
  t.same(denied, [], 'nothing was denied on the way')
  await worker.drain()
  const publisher = createWindowPublisher(operator, { stream: 'JOBS_PUSH' })
  for (const subject of ['job.push.high.acme', 'dlq.EVENTS.x.acme', '$JS.API.STREAM.MSG.DELETE.EVENTS'])
    await t.rejects(
      publisher.publish({ subject, body: '{}', messageId: subject }),
      { message: /not permitted/ },
      subject,
    )
  await t.rejects(readSubject(operator, { stream: 'EVENTS', subject: 'evt.>', fromSequence: 1, limit: 1 }), {
    code: 'DENIED',
  })
})

t.test('realtime asks, the gateway answers, and nobody else hears or answers a question', async (t) => {
  const denied: string[] = []
  const roles = ['gateway', 'realtime', 'dispatcher', 'delivery-push'] as const
  const [gateway, realtime, ...others] = await Promise.all(
    roles.map((role) => as(role, (message) => denied.push(`${role}: ${message}`))),
  )
  if (!gateway || !realtime) throw new Error('not connected')
  const options = { queue: 'gateway', onFailure: (error: unknown) => t.error(error) }
  const asks = ['inbox', 'channel-rules', 'standing'] as const
  for (const what of asks) answerQuestions(gateway, `ask.${what}.*`, options, () => 'the gateway')
  answerQuestions(realtime, 'ask.session.0a1b', options, () => 'the node')
  await Promise.all([gateway.flush(), realtime.flush()])
  const patient = { timeoutMs: 30_000 }
  for (const what of asks) t.equal(await ask(realtime, `ask.${what}.acme`, {}, patient), 'the gateway')
  t.equal(await ask(realtime, 'ask.session.0a1b', {}, patient), 'the node')
  t.same(denied, [])

  for (const other of [realtime, ...others]) {
    for (const what of asks) answerQuestions(other, `ask.${what}.acme`, options, () => 'somebody else')
  }
  await eventually(() => denied.length === 3 * asks.length)
  t.ok(denied.every((message) => /permissions violation for subscription/i.test(message)))
  for (const what of asks) t.equal(await ask(realtime, `ask.${what}.acme`, {}, patient), 'the gateway')
  for (const other of [gateway, ...others]) {
    for (const subject of ['ask.inbox.acme', 'ask.session.0a1b', 'ask.channel.acme.ride'])
      await t.rejects(ask(other, subject, {}), { code: 'DENIED' }, `${other.name} ${subject}`)
  }
})

t.test('wrong credentials are an error with a name, not a wait for ever', async (t) => {
  const options = {
    servers: nats.url,
    name: 'x',
    credentials: { kind: 'password', user: 'gateway', password: 'no' },
  } as const
  await t.rejects(openConnection(options), { name: 'ConnectionError', code: 'DENIED' })
})
