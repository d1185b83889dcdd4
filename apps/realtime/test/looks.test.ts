import { connect } from 'node:net'
import { authoriseSubject, STANDING_SUBJECT, type StandingQuestion, userId } from '@carillon/contracts'
import { answerQuestions } from '@carillon/jetstream'
import { sha256 } from '@carillon/service'
import { eventually, useRedis } from '@carillon/testkit'
import t from 'tap'
import { answerRules, signToken, type TokenClaims, useLive, useNode } from './mesh.js'
import { usePresence } from './presence-nodes.js'
import { openSse } from './sse-client.js'

const RIDE = '/v1/me/channels/room:ride-9'

interface Answer {
  status: number
  body: Record<string, unknown>
  headers: Headers
}

async function get(url: string, claims: TokenClaims): Promise<Answer> {
  return getAs(url, { authorization: `Bearer ${await signToken(claims)}` })
}

async function getAs(url: string, headers: Record<string, string>): Promise<Answer> {
  const response = await fetch(url, { headers })
  return {
    status: response.status,
    body: (await response.json()) as Record<string, unknown>,
    headers: response.headers,
  }
}

/** Asks the same again and again over one connection, without waiting for an answer. Gives all that came back. */
async function pipelined(
  url: string,
  path: string,
  { authorization, count }: { authorization: string; count: number },
): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1').setEncoding('utf8')
  const request = `GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\n`
  socket.write(`${`${request}\r\n`.repeat(count - 1)}${request}connection: close\r\n\r\n`)
  let answers = ''
  for await (const chunk of socket) answers += chunk
  return answers
}

async function say(url: string, user: string, data: object): Promise<number> {
  const token = await signToken({ user, channels: { 'room:*': ['subscribe', 'publish'] } })
  const response = await fetch(`${url}${RIDE}/publish`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ data }),
  })
  return ((await response.json()) as { offset: number }).offset
}

t.test('who listens by SSE reads a room back over HTTP, and no channel is opened for it', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  await answerRules(t, connection, [
    { namespace: 'ride' },
    { namespace: 'quiet', allow: [] },
    { namespace: 'asked', authorise: true },
  ])
  await connection.flush()
  const offsets: number[] = []
  for (const text of ['one', 'two', 'three', 'four']) offsets.push(await say(node.url, 'ben', { text }))
  const anna = { rooms: ['ride-9'] }
  const history = (query = '', claims: TokenClaims = anna, room = RIDE) =>
    get(`${node.url}${room}/history${query}`, claims)
  const texts = ({ body }: Answer) =>
    (body.publications as { data: { text: string } }[]).map(({ data }) => data.text)

  const all = await history()
  t.equal(all.status, 200)
  t.same((all.body.publications as unknown[])[0], {
    data: { text: 'one' },
    info: { user: 'ben', client: '' },
    offset: offsets[0],
  })
  t.same(texts(all), ['one', 'two', 'three', 'four'], 'oldest first')
  t.ok(Number(all.body.offset) >= Number(offsets[3]))
  t.equal(all.headers.get('cache-control'), 'no-store')
  t.equal(all.headers.get('x-content-type-options'), 'nosniff')
  t.same(texts(await history(`?limit=2&since=${offsets[0]}`)), ['two', 'three'])
  t.same(texts(await history('?limit=2&reverse=true')), ['four', 'three'])
  t.same(texts(await history(`?reverse=true&since=${offsets[1]}&epoch=${all.body.epoch}`)), ['one'])
  t.same(texts(await history(`?since=${offsets[3]}`)), [])
  t.same(texts(await history('', { rooms: ['ride-8'] }, '/v1/me/channels/room:ride-8')), [])
  t.match(await node.metrics.render(), /realtime_channels 0/)

  const listener = await openSse(t, node.url, {
    token: await signToken(anna),
    query: '?channel=room:ride-9',
  })
  await eventually(() => listener.lastId !== '')
  await say(node.url, 'ben', { text: 'five' })
  await eventually(() => listener.events.some(({ type }) => type === 'room:ride-9'))
  const heard = listener.events.find(({ type }) => type === 'room:ride-9')
  t.same(
    (await history('?limit=1&reverse=true')).body.publications,
    [JSON.parse(String(heard?.data))],
    'what is read back looks as it was heard',
  )

  const code = async (asked: Promise<Answer>) => {
    const { status, body } = await asked
    return [status, body.code]
  }
  t.same(await code(history('', {})), [403, 'CHANNEL_DENIED'], 'not let in')
  t.same(
    await code(history('', { channels: { 'room:quiet-1': ['subscribe'] } }, '/v1/me/channels/room:quiet-1')),
    [403, 'CHANNEL_DENIED'],
    'let in, and neither the token nor the rule says history',
  )
  const granted: TokenClaims = { channels: { 'room:quiet-1': ['subscribe', 'history'] } }
  t.equal((await history('', granted, '/v1/me/channels/room:quiet-1')).status, 200, 'the token says it')
  const alone: TokenClaims = { channels: { 'room:ride-9': ['history'] } }
  t.same(await code(history('', alone)), [403, 'CHANNEL_DENIED'], 'and lets in nobody by that alone')
  t.same(await code(history('', anna, '/v1/me/channels/user')), [404, 'CHANNEL_UNKNOWN'])
  t.same(
    await code(history('', { channels: { 'latest:*': ['subscribe'] } }, '/v1/me/channels/latest:ride-9')),
    [400, 'CHANNEL_WITHOUT_HISTORY'],
  )
  t.same(await code(history('?epoch=another')), [410, 'UNRECOVERABLE'])
  for (const query of ['?limit=0', '?limit=201', '?limit=x', '?since=-1', '?reverse=yes', '?lmit=1'])
    t.same(await code(history(query)), [400, 'VALIDATION'], query)
  t.same(await code(getAs(`${node.url}${RIDE}/history`, {})), [401, 'TOKEN_MISSING'])
  const token = await signToken(anna)
  t.equal((await getAs(`${node.url}${RIDE}/history`, { cookie: `carillon_token=${token}` })).status, 200)
  t.equal((await getAs(`${node.url}${RIDE}/history?token=${token}`, {})).status, 200)
  t.same(await code(getAs(`${node.url}${RIDE}/history?token=${token}`, { origin: 'https://evil.example' })), [
    403,
    'ORIGIN_DENIED',
  ])

  const service = answerQuestions(
    connection,
    authoriseSubject('acme', 'asked'),
    { onFailure: (error) => Promise.reject(error) },
    () => ({ allow: true }),
  )
  await connection.flush()
  const asked = '/v1/me/channels/room:asked-1'
  t.equal((await history('', {}, asked)).status, 200, 'a service lets in')
  await service.drain()
  t.same(await code(history('', {}, asked)), [503, 'UNAVAILABLE'], 'nobody could say')

  const fallen = answerQuestions(
    connection,
    STANDING_SUBJECT,
    { onFailure: (error) => Promise.reject(error) },
    (question) => {
      // whoever holds a connection is asked about too
      const users = Object.values((question as StandingQuestion).tenants).flat()
      return { fallen: users.filter((user) => user === userId(sha256, 'acme', 'cleo')) }
    },
  )
  t.teardown(() => fallen.drain())
  await connection.flush()
  t.same(await code(history('', { user: 'cleo', rooms: ['ride-9'] })), [403, 'SUSPENDED'])
  await nats.stop()
  await eventually(async () => !(await node.health.report()).ok)
  t.same(await code(history()), [503, 'UNAVAILABLE'], 'the mesh is away')
})

t.test('who is in a room is told over HTTP: by name up to 200, by number above', async (t) => {
  const { nats, connection } = await useLive(t)
  const redis = await useRedis(t)
  const node = await useNode(t, nats.url, { allowedOrigins: ['https://app.example'] }, redis.url)
  await answerRules(t, connection, [{ namespace: 'quiet', allow: [] }])
  await connection.flush()
  const elsewhere = await usePresence(t, { natsUrl: nats.url, redisUrl: redis.url }, 'elsewhere')
  const ride = { tenant: 'acme', id: 'ride-9' }
  const anna: TokenClaims = { channels: { 'room:*': ['subscribe'] } }
  const ask = (what: string, claims: TokenClaims = anna, room = RIDE) =>
    get(`${node.url}${room}/${what}`, claims)

  t.same((await ask('presence')).body, { clients: 0, users: 0, members: [] })
  elsewhere.joined(ride, { user: 'ben', client: 'c1', info: { name: 'Ben' } })
  elsewhere.joined(ride, { user: 'ben', client: 'c2' })
  await eventually(async () => (await ask('presence-stats')).body.clients === 2)
  t.same((await ask('presence-stats')).body, { clients: 2, users: 1 })
  const { status, body, headers } = await ask('presence')
  t.equal(status, 200)
  t.equal(headers.get('cache-control'), 'no-store')
  t.match(body, { clients: 2, users: 1 })
  t.same(
    [...(body.members as { client: string }[])].sort((a, b) => (a.client < b.client ? -1 : 1)),
    [
      { user: 'ben', client: 'c1', chan_info: { name: 'Ben' } },
      { user: 'ben', client: 'c2' },
    ],
  )
  for (let n = 0; n < 199; n++) elsewhere.joined(ride, { user: `u${n}`, client: `x${n}` })
  await eventually(async () => (await ask('presence-stats')).body.clients === 201)
  t.same((await ask('presence')).body, { clients: 201, users: 200 })

  for (const what of ['presence', 'presence-stats']) {
    const code = async (asked: Promise<Answer>) => {
      const { status, body } = await asked
      return [status, body.code]
    }
    t.same(await code(ask(what, {})), [403, 'CHANNEL_DENIED'])
    t.same(await code(ask(what, anna, '/v1/me/channels/room:quiet-1')), [403, 'CHANNEL_DENIED'])
    t.same(await code(ask(what, { channels: { 'latest:*': ['subscribe'] } }, '/v1/me/channels/latest:a')), [
      400,
      'CHANNEL_WITHOUT_PRESENCE',
    ])
    t.same(await code(ask(`${what}?all=1`)), [400, 'VALIDATION'])
    const preflight = await fetch(`${node.url}${RIDE}/${what}`, {
      method: 'OPTIONS',
      headers: { origin: 'https://app.example' },
    })
    t.equal(preflight.status, 204)
    t.equal(preflight.headers.get('access-control-allow-origin'), 'https://app.example')
  }

  const authorization = `Bearer ${await signToken(anna)}`
  const made = await fetch(`${node.url}/v1/sse/ticket`, { method: 'POST', headers: { authorization } })
  const { ticket } = (await made.json()) as { ticket: string }
  const cookie = String(made.headers.get('set-cookie')).split(';')[0] as string
  t.equal((await getAs(`${node.url}${RIDE}/presence?ticket=${ticket}`, { cookie })).status, 200)
  t.equal((await getAs(`${node.url}${RIDE}/presence?ticket=${ticket}`, {})).status, 401)

  // in one breath, so that a slow machine gets nothing back meanwhile
  const eve = { authorization: `Bearer ${await signToken({ ...anna, user: 'eve' })}` }
  t.equal((await getAs(`${node.url}${RIDE}/presence-stats`, eve)).status, 200)
  const answers = await pipelined(node.url, `${RIDE}/presence-stats`, { ...eve, count: 600 })
  const statuses = [...answers.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)
  const served = statuses.filter((status) => status === '200').length
  t.ok(served >= 399, `a page may ask for 400 things at once: ${served}`)
  t.ok(served < 600)
  t.equal(statuses.filter((status) => status === '429').length, 600 - served)
  t.match(answers, /^retry-after: 1\r$/m)
  t.match(answers, /"code":"TOO_MANY_REQUESTS"/)
  await redis.stop()
  const patient = { ...anna, user: 'dora' }
  await eventually(async () => (await ask('presence', patient)).status === 503)
  t.equal((await ask('presence', patient)).body.code, 'UNAVAILABLE')
  t.equal((await ask('history', patient)).status, 200, 'what was said can still be read')
})

t.test('an answer with history ends at 1 MiB, and counts as eight questions', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  await answerRules(t, connection, [])
  await connection.flush()
  const padding = 'x'.repeat(30_000)
  for (let n = 0; n < 40; n++) await say(node.url, 'ben', { n, padding })
  const authorization = `Bearer ${await signToken({ rooms: ['ride-9'] })}`
  const ask = async (query: string) => {
    const response = await fetch(`${node.url}${RIDE}/history${query}`, { headers: { authorization } })
    const text = await response.text()
    const { publications = [] } = JSON.parse(text) as {
      publications?: { data: { n: number }; offset: number }[]
    }
    const all = publications.map(({ data }) => data.n)
    return { status: response.status, length: text.length, all, last: publications.at(-1)?.offset }
  }
  const counted = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n)
  for (const reverse of [false, true]) {
    const first = await ask(`?limit=200&reverse=${reverse}`)
    t.ok(first.length <= 1024 * 1024 + 20_000 && first.length > 900_000, `${first.length} bytes`)
    const rest = await ask(`?limit=200&reverse=${reverse}&since=${first.last}`)
    const whole = [...first.all, ...rest.all]
    t.same(reverse ? whole.reverse() : whole, counted(0, 40), 'the next one goes on from there')
  }
  t.same((await ask('?limit=2&reverse=true')).all, [39, 38])

  const eve: TokenClaims = { user: 'eve', rooms: ['ride-9'] }
  const statuses = await Promise.all(
    Array.from({ length: 100 }, async () => (await get(`${node.url}${RIDE}/history?limit=1`, eve)).status),
  )
  const answered = statuses.filter((status) => status === 200).length
  t.ok(answered >= 50, `${answered} at once`)
  for (let round = 0; round < 100 && !statuses.includes(429); round++) {
    const more = Array.from({ length: 100 }, () => get(`${node.url}${RIDE}/history?limit=1`, eve))
    statuses.push(...(await Promise.all(more)).map(({ status }) => status))
  }
  const before = statuses.indexOf(429)
  t.ok(before >= 0 && before < 400, `refused after ${before}, sooner than other questions`)
})
