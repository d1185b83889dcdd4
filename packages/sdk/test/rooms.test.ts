import { createServer } from 'node:http'
import { type AuthoriseQuestion, authoriseSubject } from '@carillon/contracts'
import { eventually, type TestScope, useNats } from '@carillon/testkit'
import { connect } from '@nats-io/transport-node'
import t from 'tap'
import { connectHttp, connectNats } from '../src/index.js'

interface Seen {
  line: string
  body: Record<string, unknown>
}

/** Answers in the order given, then as each call is answered when it went well. */
async function useEdge(t: TestScope, answers: { status: number; body?: unknown }[] = []) {
  const seen: Seen[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = JSON.parse(Buffer.concat(chunks).toString() || '{}') as Seen['body']
    seen.push({ line: `${request.method} ${request.url}`, body })
    const batch = body.publications as unknown[] | undefined
    const usual = {
      status: 200,
      body:
        batch === undefined
          ? { offset: 7, epoch: 'e' }
          : { publications: batch.map(() => ({ offset: 1 })), epoch: 'e' },
    }
    const answer = answers.shift() ?? usual
    response.writeHead(answer.status, { connection: 'close', 'content-type': 'application/json' })
    response.end(JSON.stringify(answer.body ?? {}))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise((resolve) => server.close(resolve)))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  const client = connectHttp({
    url: `http://127.0.0.1:${address.port}`,
    apiKey: 'ck_test',
    source: '/services/test',
    retry: { attempts: 4, baseMs: 1, maxMs: 5 },
  })
  return { seen, client }
}

t.test('a publication keeps its idempotency key over retries, one of its own unless given', async (t) => {
  const { seen, client } = await useEdge(t, [{ status: 503 }])
  t.strictSame(await client.publishTo('room:ride-9', { text: 'hi' }, { from: 'ada' }), {
    offset: 7,
    epoch: 'e',
  })
  t.equal(seen.length, 2)
  t.equal(seen[0]?.line, 'POST /v1/channels/room%3Aride-9/publish')
  t.match(seen[0]?.body, { data: { text: 'hi' }, from: 'ada', idempotencyKey: /^[0-9a-f-]{36}$/ })
  t.strictSame(seen[1]?.body, seen[0]?.body)
  await client.publishTo('room:ride-9', {}, { idempotencyKey: 'mine' })
  t.equal(seen[2]?.body.idempotencyKey, 'mine')
  await client.publishTo('latest:ride-9', {}, { key: 'driver-1' })
  t.strictSame(seen[3]?.body, { data: {}, key: 'driver-1' }, 'what nobody keeps needs no key')
})

t.test(
  'many publications go out in order, a hundred at a time and never too long for one call',
  async (t) => {
    const { seen, client } = await useEdge(t)
    const short = Array.from({ length: 101 }, (_, n) => ({ channel: 'room:a', data: { n } }))
    const long = Array.from({ length: 8 }, (_, n) => ({
      channel: 'room:b',
      data: { n, fill: 'ü'.repeat(15_000) },
    }))
    const places = await client.publishAllTo([...short, ...long])
    t.equal(places.length, 109)
    const batches = seen.map(({ body }) => body.publications as { data: { n: number } }[])
    t.strictSame(
      batches.map((batch) => batch.length),
      [100, 7, 2],
    )
    t.strictSame(
      batches.flat().map(({ data }) => data.n),
      [...short, ...long].map(({ data }) => data.n),
    )
    for (const { body } of seen) t.ok(Buffer.byteLength(JSON.stringify(body)) < 256 * 1024)
    t.strictSame(await client.publishAllTo([]), [])
  },
)

t.test('tokens, rules and histories are asked for under the names of the edge', async (t) => {
  const { seen, client } = await useEdge(t, [
    ...Array.from({ length: 4 }, () => ({ status: 200 })),
    { status: 404 },
    { status: 403, body: { code: 'SCOPE_MISSING' } },
    { status: 200, body: { rules: [] } },
    { status: 200, body: { publications: [] } },
  ])
  await client.userToken('ada lovelace')
  await client.userToken('ada', { ttlSeconds: 60, channels: { 'room:*': ['subscribe'] } })
  await client.channelToken('ada', 'room:ride-9', { permissions: ['publish'], info: { name: 'Ada' } })
  await client.putChannelRule('ride', { authorise: true })
  await client.deleteChannelRule('ride')
  await t.rejects(client.deleteChannelRule('ride'), { code: 'SCOPE_MISSING', failure: 'unauthorized' })
  t.strictSame(await client.channelRules(), [])
  await client.channelHistory('room:ride-9', { since: 0, limit: 5 })
  t.strictSame(
    seen.map(({ line, body }) => [line, body]),
    [
      ['POST /v1/users/ada%20lovelace/token', {}],
      ['POST /v1/users/ada/token', { ttlSeconds: 60, channels: { 'room:*': ['subscribe'] } }],
      [
        'POST /v1/users/ada/channel-tokens',
        { channel: 'room:ride-9', permissions: ['publish'], info: { name: 'Ada' } },
      ],
      ['PUT /v1/channel-rules/ride', { authorise: true }],
      ['DELETE /v1/channel-rules/ride', {}],
      ['DELETE /v1/channel-rules/ride', {}],
      ['GET /v1/channel-rules', {}],
      ['GET /v1/channels/room%3Aride-9/history?limit=5&since=0', {}],
    ],
  )
})

const question: AuthoriseQuestion = { channel: 'room:ride-9', user: 'ada', action: 'subscribe' }
/** Longer than anything stands still. */
const PATIENT_MS = 30_000
const service = (url: string) => connectNats({ servers: url, tenant: 'acme', source: '/services/rides' })

t.test('each question about a namespace is answered by one instance of the service', async (t) => {
  const server = await useNats(t)
  const asker = await connect({ servers: server.url })
  t.teardown(() => asker.close())
  const [first, second] = await Promise.all([service(server.url), service(server.url)])
  const asked: AuthoriseQuestion[] = []
  const failures: string[] = []
  for (const client of [first, second]) {
    client.answerChannels(
      { namespace: 'ride', onFailure: (error) => failures.push(String(error)) },
      async (found) => {
        asked.push(found)
        if (found.user === 'broken') throw new Error('the database is away')
        if (found.user === 'odd') return {} as { allow: boolean }
        return { allow: found.user === 'ada', permissions: ['publish'], info: { seat: 2 } }
      },
    )
  }
  const ask = async (
    body: unknown,
    { subject = authoriseSubject('acme', 'ride'), timeout = PATIENT_MS } = {},
  ) =>
    (await asker.request(subject, typeof body === 'string' ? body : JSON.stringify(body), { timeout })).json()
  const unanswered = { timeout: 300 }
  await eventually(() => ask(question))
  asked.length = 0
  t.strictSame(await ask(question), { allow: true, permissions: ['publish'], info: { seat: 2 } })
  t.match(await ask({ ...question, user: 'mira', action: 'publish', data: { n: 1 } }), { allow: false })
  t.strictSame(asked, [question, { ...question, user: 'mira', action: 'publish', data: { n: 1 } }])
  await Promise.all(Array.from({ length: 40 }, () => ask(question)))
  t.equal(asked.length, 42, 'nobody answered twice')

  await t.rejects(
    ask({ ...question, user: 'broken' }, unanswered),
    { message: /timeout/i },
    'no answer is no permission',
  )
  await eventually(() => failures.length === 1)
  t.match(failures[0], /the database is away/)
  await t.rejects(ask({ ...question, user: 'odd' }, unanswered))
  const unread = [
    'not json',
    '{}',
    'null',
    { ...question, channel: 'room:chat-1' },
    { ...question, action: 'fly' },
  ]
  await Promise.all(unread.map((body) => t.rejects(ask(body, unanswered), JSON.stringify(body))))
  await eventually(() => failures.length >= 2 + unread.length)
  await t.rejects(
    ask(question, { subject: authoriseSubject('globex', 'ride') }),
    "another tenant's questions are not heard",
  )

  await first[Symbol.asyncDispose]()
  t.match(await ask(question), { allow: true }, 'the other goes on')
  await second[Symbol.asyncDispose]()
  await t.rejects(ask(question), 'nobody is there')
  t.equal(failures.length, 2 + unread.length)
  const third = await service(server.url)
  t.throws(() => third.answerChannels({ namespace: '*' }, () => ({ allow: true })), { code: 'TOKEN_INVALID' })
  await third[Symbol.asyncDispose]()
})

t.test('closing answers what was asked before', async (t) => {
  const server = await useNats(t)
  const asker = await connect({ servers: server.url })
  t.teardown(() => asker.close())
  const client = await service(server.url)
  let answer: () => void = () => undefined
  const decided = new Promise<void>((resolve) => {
    answer = resolve
  })
  const heard = new Set<string>()
  const answering = client.answerChannels({ namespace: 'ride' }, async ({ user }) => {
    heard.add(user)
    await decided
    return { allow: true }
  })
  const subject = authoriseSubject('acme', 'ride')
  const ask = (user: string) =>
    asker.request(subject, JSON.stringify({ ...question, user }), { timeout: PATIENT_MS })
  await eventually(() => {
    void ask('early').catch(() => undefined)
    return heard.has('early')
  })
  const waiting = ask('last')
  await eventually(() => heard.has('last'))
  const stopped = answering.stop()
  const closed = client[Symbol.asyncDispose]()
  await asker.flush()
  answer()
  t.strictSame((await waiting).json(), { allow: true })
  await Promise.all([stopped, closed])
  await answering[Symbol.asyncDispose]()
})

t.test('it answers again once NATS is back, and does not wait for it to close', async (t) => {
  const server = await useNats(t)
  const client = await service(server.url)
  client.answerChannels({ namespace: 'ride' }, () => ({ allow: true }))
  await server.kill('SIGKILL')
  await server.restart()
  const asker = await connect({ servers: server.url })
  const subject = authoriseSubject('acme', 'ride')
  await eventually(async () => {
    const answer = await asker.request(subject, JSON.stringify(question), { timeout: 500 })
    return answer.json<{ allow: boolean }>().allow
  })
  await asker.close()
  await server.kill('SIGKILL')
  const closed = client[Symbol.asyncDispose]().then(() => true)
  const late = new Promise<false>((resolve) => setTimeout(() => resolve(false), PATIENT_MS).unref())
  t.ok(await Promise.race([closed, late]))
})
