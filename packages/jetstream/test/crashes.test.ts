import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { useFolder, useNodeProcess } from '@carillon/testkit'
import t from 'tap'
import { wireOf } from '../src/connection.js'
import { consume, createPublisher, dead, moveAdvisories, readSubject, streamState } from '../src/index.js'
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
const folder = await useFolder(t)
await createStream(connection, 'DEAD_LETTERS', { subjects: ['dlq.>'] })
await createStream(connection, 'ADVISORIES', {
  subjects: ['$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>', '$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>'],
})
await createDurable(connection, 'ADVISORIES', 'advisories')

async function startWorker(stream: string, dieAfter = ''): ReturnType<typeof useNodeProcess> {
  return useNodeProcess(t, {
    script: fileURLToPath(new URL('./fixtures/worker.js', import.meta.url)),
    env: { NATS_URL: nats.url, STREAM: stream, JOURNAL: join(folder, stream), DIE_AFTER: dieAfter },
    ready: /worker ready/,
  })
}

async function journal(stream: string): Promise<string[]> {
  const text = await readFile(join(folder, stream), 'utf8').catch(() => '')
  return text.split('\n').filter((line) => line !== '')
}

async function isCaughtUp(stream: string): Promise<boolean> {
  const info = await js<{ num_pending: number; num_ack_pending: number }>(
    connection,
    `CONSUMER.INFO.${stream}.worker`,
  )
  return info.num_pending === 0 && info.num_ack_pending === 0
}

t.test(
  'kill -9 between commit and ack: every message is handled, those of the torn batches twice at most',
  async (t) => {
    await createStream(connection, 'TORN', { subjects: ['evt.>'], allow_atomic: true })
    // long enough that a living worker on a busy machine keeps what it holds
    await createDurable(connection, 'TORN', 'worker', { ack_wait: 5_000_000_000 })
    const numbers = Array.from({ length: 300 }, (_, index) => String(index))
    await publisher.publishAll(
      'TORN',
      numbers.map((body) => ({ subject: 'evt.normal.t.x', body })),
    )
    const first = await startWorker('TORN', '150')
    t.match(await first.exited, { signal: 'SIGKILL' })
    const second = await startWorker('TORN')
    await eventually(() => isCaughtUp('TORN'))
    const handled = await journal('TORN')
    t.same([...new Set(handled)].sort(), [...numbers].sort(), 'nothing is lost')
    t.ok(handled.length > 300, 'the torn batch came again')
    t.ok(handled.length <= 300 + 2 * 20, 'and nothing else')
    await second.stop()
  },
)

t.test(
  'a message that kills its worker ends as a dead letter and leaves the queue; the others are handled',
  async (t) => {
    await createStream(connection, 'JOBS_PUSH', {
      subjects: ['job.push.>'],
      retention: 'workqueue',
      allow_atomic: true,
    })
    await createDurable(connection, 'JOBS_PUSH', 'worker', { ack_wait: 500_000_000, max_deliver: 20 })
    const mover = moveAdvisories(connection)
    t.teardown(() => mover.drain())
    const bodies = Array.from({ length: 40 }, (_, index) => (index === 7 ? 'killer' : String(index)))
    await publisher.publishAll(
      'JOBS_PUSH',
      bodies.map((body) => ({ subject: 'job.push.normal.acme', body })),
    )
    const range = { stream: 'DEAD_LETTERS', subject: 'dlq.JOBS_PUSH.worker.acme', fromSequence: 1, limit: 50 }
    for (let life = 0; life < 40; life++) {
      const worker = await startWorker('JOBS_PUSH')
      const died = await Promise.race([
        worker.exited.then(() => true),
        eventually(() => isCaughtUp('JOBS_PUSH')).then(() => false),
      ])
      if (died) continue
      await worker.stop()
      break
    }
    const letters = await eventually(async () => {
      const found = await readSubject(connection, range)
      return found.length > 0 && found
    })
    const bodiesOfLetters = letters.map(({ body }) => Buffer.from(body).toString())
    t.ok(bodiesOfLetters.includes('killer'))
    t.match(
      letters[bodiesOfLetters.indexOf('killer')]?.headers.get('carillon-reason'),
      /Delivered 20 times without a decision/,
    )
    const handled = new Set(await journal('JOBS_PUSH'))
    const innocents = bodies.filter((body) => body !== 'killer')
    t.same(
      innocents.filter((body) => !handled.has(body)),
      [],
      'no other message went down with it',
    )
    await eventually(async () => (await streamState(connection, 'JOBS_PUSH')).messages === 0)
    t.pass('the queue is empty')
  },
)

t.test(
  'a message terminated by hand becomes a dead letter; one that a worker buried does not become two',
  async (t) => {
    await createStream(connection, 'BURIED', { subjects: ['rcp.>'] })
    await createDurable(connection, 'BURIED', 'worker')
    const mover = moveAdvisories(connection)
    t.teardown(() => mover.drain())
    await publisher.publish('BURIED', { subject: 'rcp.push.delivered.acme', body: 'ours' })
    const worker = consume(
      connection,
      { stream: 'BURIED', durable: 'worker', batch: 1, concurrency: 1 },
      () => [dead('not valid')],
    )
    await whenAllAcknowledged(connection, 'BURIED')
    await worker.drain()
    await publisher.publish('BURIED', { subject: 'rcp.push.delivered.acme', body: 'by hand' })
    const { nats: raw } = wireOf(connection)
    const pulled = await raw.request(
      '$JS.API.CONSUMER.MSG.NEXT.BURIED.worker',
      '{"batch":1,"expires":20000000000}',
      { timeout: 30_000, noMux: true },
    )
    raw.publish(pulled.reply ?? '', '+TERM the operator said so')
    const range = { stream: 'DEAD_LETTERS', subject: 'dlq.BURIED.worker.acme', fromSequence: 1, limit: 10 }
    await eventually(async () => (await readSubject(connection, range)).length === 2)
    await mover.whenCaughtUp()
    const letters = await readSubject(connection, range)
    t.same(
      letters.map(({ body, headers }) => [Buffer.from(body).toString(), headers.get('carillon-reason')]),
      [
        ['ours', 'not valid'],
        ['by hand', 'the operator said so'],
      ],
    )
  },
)
