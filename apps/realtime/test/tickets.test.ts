import { authoriseSubject } from '@carillon/contracts'
import { answerQuestions } from '@carillon/jetstream'
import { eventually, useRedis } from '@carillon/testkit'
import t from 'tap'
import { answerRules, createWriter, personal, room, signToken, useLive, useNode } from './mesh.js'
import { bearer } from './poll-client.js'
import { openSse } from './sse-client.js'

t.test('a ticket opens an EventSource again and again, for its own session only', async (t) => {
  const { nats, connection } = await useLive(t)
  const redis = await useRedis(t)
  const options = { allowedOrigins: ['https://app.example'] }
  const node = await useNode(t, nats.url, options, redis.url)
  const other = await useNode(t, nats.url, options, redis.url)
  const { write } = createWriter(t, connection)
  const ask = (headers: Record<string, string>) =>
    fetch(`${node.url}/v1/sse/ticket`, { method: 'POST', headers })
  const answer = await ask({ ...(await bearer()), origin: 'https://app.example' })
  t.equal(answer.status, 201)
  t.equal(answer.headers.get('access-control-allow-origin'), 'https://app.example')
  const { ticket, expiresAt } = (await answer.json()) as { ticket: string; expiresAt: string }
  t.ok(Date.parse(expiresAt) <= Date.now() + 600_000, 'it ends with the token')
  const set = answer.headers.get('set-cookie') ?? ''
  t.match(set, /^carillon_session=[\w-]{43}; Path=\/v1\/; HttpOnly; Max-Age=\d+; SameSite=Strict$/)
  const cookie = set.split(';')[0] as string
  const query = `?channel=user&ticket=${ticket}`
  const first = await openSse(t, node.url, { query, headers: { cookie } })
  await eventually(() => first.lastId !== '')
  first.cut()
  await write(personal(), [1])
  const again = await openSse(t, other.url, { query, headers: { cookie }, lastId: first.lastId })
  await eventually(() => again.numbers().length === 1)
  t.pass('used twice, on two nodes, and resumed')

  const own = await ask({ ...(await bearer({ user: 'bob' })), cookie })
  t.match(own.headers.get('set-cookie'), new RegExp(`^${cookie};`), 'a session that is known is kept')
  const stranger = ((await ask(await bearer())).headers.get('set-cookie') ?? '').split(';')[0] as string
  for (const [name, headers] of Object.entries({
    'without the session': {},
    "in another's session": { cookie: stranger },
    'in a session that never was': { cookie: `carillon_session=${'A'.repeat(43)}` },
    'with a user token in the cookie only': { cookie: `carillon_token=${await signToken()}` },
  })) {
    const refused = await openSse(t, node.url, { query, headers: headers as Record<string, string> })
    t.match({ status: refused.status, ...refused.problem }, { status: 401, code: 'TICKET_INVALID' }, name)
  }
  const made = await openSse(t, node.url, { query: `?ticket=${'A'.repeat(43)}`, headers: { cookie } })
  t.equal(made.status, 401)
  t.equal((await ask({})).status, 401)
  t.equal(
    (await ask({ cookie: `carillon_token=${await signToken()}` })).status,
    401,
    'no page can ask by cookie alone',
  )
  t.equal((await ask({ ...(await bearer()), origin: 'https://evil.example' })).status, 403)
  const cross = await ask({ ...(await bearer()), 'sec-fetch-site': 'cross-site' })
  t.match(cross.headers.get('set-cookie'), /; SameSite=None; Secure; Partitioned$/)

  const punctual = await useNode(t, nats.url, { heartbeatSeconds: 1 }, redis.url)
  const short = await ask({ ...(await bearer({ expiresInSeconds: 5 })), cookie })
  const { ticket: ending } = (await short.json()) as { ticket: string }
  const ends = await openSse(t, punctual.url, { query: `?ticket=${ending}`, headers: { cookie } })
  await eventually(() => ends.ended)
  t.equal(ends.events.at(-1)?.type, 'expired')
  const after = await openSse(t, node.url, { query: `?ticket=${ending}`, headers: { cookie } })
  t.match({ status: after.status, ...after.problem }, { status: 401, code: 'TOKEN_EXPIRED' })

  await redis.stop()
  t.equal((await ask(await bearer())).status, 503)
  const away = await openSse(t, node.url, { query, headers: { cookie } })
  await eventually(() => away.ended)
  t.ok((away.retryMs ?? 0) >= 1_000, 'while tickets can not be read an EventSource is asked to come back')
  const none = await useNode(t, nats.url)
  t.equal((await fetch(`${none.url}/v1/sse/ticket`, { method: 'POST', headers: await bearer() })).status, 503)
})

t.test('who comes back is asked anew: what ended meanwhile shows nothing of what was missed', async (t) => {
  const { nats, connection } = await useLive(t)
  await answerRules(t, connection, [{ namespace: 'ride', authorise: true }])
  const node = await useNode(t, nats.url, { heartbeatSeconds: 1 })
  let allow = true
  const asked: unknown[] = []
  const service = answerQuestions(
    connection,
    authoriseSubject('acme', 'ride'),
    { onFailure: (error) => t.error(error) },
    (question) => {
      asked.push(question)
      return { allow, expiresInSeconds: 1 }
    },
  )
  t.teardown(() => service.drain())
  await connection.flush()
  const token = await signToken()
  const query = '?channel=room:ride-9'
  const first = await openSse(t, node.url, { token, query })
  await eventually(() => first.ended)
  t.same(
    first.events.map(({ type }) => type),
    ['ready'],
    'the stream ends when the service wants to be asked again, and the EventSource comes back by itself',
  )
  const second = await openSse(t, node.url, { token, query, lastId: first.lastId })
  t.equal(second.status, 200)
  second.cut()
  allow = false
  connection.publishCore(room('ride-9'), '{"secret":1}')
  for (const path of ['sse', 'poll']) {
    const answer = await fetch(`${node.url}/v1/${path}${query}&last_event_id=${second.lastId}`, {
      headers: { authorization: `Bearer ${token}` },
    })
    const body = await answer.text()
    t.match({ status: answer.status, ...JSON.parse(body) }, { status: 403, code: 'CHANNEL_DENIED' })
    t.notMatch(body, /secret/)
  }
  t.same(asked[0], { channel: 'room:ride-9', user: 'anna', action: 'subscribe' })
  await service.drain()
  const nobody = await openSse(t, node.url, { token, query, headers: { accept: '*/*' } })
  t.match({ status: nobody.status, ...nobody.problem }, { status: 503, code: 'UNAVAILABLE' })
  // rooms of the token: the next token has fewer
  const before = await openSse(t, node.url, {
    token: await signToken({ rooms: ['a'] }),
    query: '?channel=room:a',
  })
  await eventually(() => before.lastId !== '')
  const after = await openSse(t, node.url, { token, query: '?channel=room:a', lastId: before.lastId })
  t.equal(after.status, 403)
})

t.test('a server that has too much to do asks an EventSource to come back and refuses others', async (t) => {
  const { nats } = await useLive(t)
  const node = await useNode(t, nats.url, { maxEventLoopDelayMs: 1 })
  const token = await signToken()
  const busy = setInterval(() => {
    const until = performance.now() + 15
    while (performance.now() < until);
  }, 20)
  t.teardown(() => clearInterval(busy))
  await eventually(
    async () => (await openSse(t, node.url, { token, headers: { accept: '*/*' } })).status === 503,
  )
  const client = await openSse(t, node.url, { token })
  t.equal(client.status, 200, 'any other status would end it for good')
  await eventually(() => client.ended)
  t.same(client.events, [])
  t.ok((client.retryMs ?? 0) >= 1_000)
})
