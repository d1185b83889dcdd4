import t from 'tap'
import { answerQuestions, ask } from '../src/index.js'
import { connectTo, eventually, startNats } from './support.js'

const QUESTIONS = 2_000

t.test('who stops answering answers what had reached it, and others get the rest', async (t) => {
  const nats = await startNats(t)
  const asker = await connectTo(t, nats.url)
  const [first, second] = await Promise.all(
    ['first', 'second'].map(async (name) => {
      const connection = await connectTo(t, nats.url)
      const options = { queue: 'q', onFailure: (error: unknown) => t.error(error) }
      const answering = answerQuestions(connection, 'ask.inbox.*', options, () => name)
      await connection.flush()
      return answering
    }),
  )
  const answers: Promise<unknown>[] = []
  for (let n = 0; n < QUESTIONS; n++) {
    answers.push(ask(asker, 'ask.inbox.acme', { n }, { timeoutMs: 30_000 }))
    if (n % 100 === 0) await asker.flush()
    if (n === QUESTIONS / 2) void first?.drain()
  }
  const outcomes = await Promise.allSettled(answers)
  t.same(
    outcomes
      .filter(({ status }) => status === 'rejected')
      .map((outcome) => String((outcome as PromiseRejectedResult).reason)),
    [],
  )
  await first?.drain()
  await second?.drain()
  await t.rejects(ask(asker, 'ask.inbox.acme', {}), { code: 'UNAVAILABLE' }, 'at once, for nobody is left')
})

t.test('what is asked while the connection is away fails at once, and is not asked later', async (t) => {
  const nats = await startNats(t)
  const heard: unknown[] = []
  const answerer = await connectTo(t, nats.url)
  const asker = await connectTo(t, nats.url)
  answerQuestions(answerer, 'ask.inbox.*', { onFailure: (error) => t.error(error) }, (question) =>
    heard.push(question),
  )
  await answerer.flush()
  await nats.kill()
  await eventually(() => !asker.connected)
  const begun = performance.now()
  await t.rejects(ask(asker, 'ask.inbox.acme', 'too late', { timeoutMs: 60_000 }), { code: 'UNAVAILABLE' })
  t.ok(performance.now() - begun < 30_000, 'without waiting for an answer')
  await nats.restart()
  await eventually(() => asker.connected && answerer.connected)
  await Promise.all([asker.flush(), answerer.flush()])
  await ask(asker, 'ask.inbox.acme', 'in time', { timeoutMs: 30_000 })
  t.same(heard, ['in time'])
})

t.test('a server that hangs does not keep answering from ending', async (t) => {
  const nats = await startNats(t)
  const connection = await connectTo(t, nats.url)
  const answering = answerQuestions(
    connection,
    'ask.inbox.*',
    { onFailure: (error) => t.error(error) },
    () => 'x',
  )
  await connection.flush()
  process.kill(nats.pid, 'SIGSTOP')
  const begun = performance.now()
  const limit = new Promise((resolve) => setTimeout(resolve, 30_000).unref())
  await Promise.race([answering.drain(), limit])
  t.ok(performance.now() - begun < 20_000)
  process.kill(nats.pid, 'SIGCONT')
})
