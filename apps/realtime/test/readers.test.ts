import { authoriseSubject, HEADERS, latestSubject } from '@carillon/contracts'
import { answerQuestions } from '@carillon/jetstream'
import { eventually, type TestScope, useRedis } from '@carillon/testkit'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import t from 'tap'
import {
  answerRules,
  createWriter,
  numberOf,
  personal,
  type RealtimeNode,
  range,
  room,
  signToken,
  useLive,
  useNode,
} from './mesh.js'
import { openSse, type SseClient } from './sse-client.js'

interface PollAnswer {
  events: { id?: string; event: string; data: unknown }[]
  last_event_id: string
  channels: Record<string, { recovered: boolean }>
  reset?: { channel: string; reason: string }[]
}

async function poll(node: RealtimeNode, query: string, headers: Record<string, string>): Promise<PollAnswer> {
  const answer = await fetch(`${node.url}/v1/poll?${query}`, { headers })
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`)
  return (await answer.json()) as PollAnswer
}

const bearer = async (claims = {}) => ({ authorization: `Bearer ${await signToken(claims)}` })
const numbers = (answer: PollAnswer) =>
  answer.events.filter(({ event }) => event === 'message').map(({ data }) => numberOf(data))

t.test('polling misses and repeats nothing, whatever comes between two polls', async (t) => {
  const { nats, connection } = await useLive(t)
  const nodes = [await useNode(t, nats.url), await useNode(t, nats.url)]
  const { write } = createWriter(t, connection)
  const headers = await bearer({ rooms: ['ride-9'] })
  const channels = 'channel=user&channel=room:ride-9'
  const first = await poll(nodes[0] as RealtimeNode, channels, headers)
  t.same(first.events, [])
  t.same(first.channels, { user: { recovered: false }, 'room:ride-9': { recovered: false } })
  let id = first.last_event_id
  let next = 1
  const seen: number[] = []
  const writing = (async () => {
    for (let batch = 0; batch < 30; batch++) {
      await write(batch % 3 === 0 ? room('ride-9') : personal(), range(next, next + 3))
      next += 4
    }
  })()
  for (let turn = 0; seen.length < 120; turn++) {
    const answer = await poll(
      nodes[turn % 2] as RealtimeNode,
      `${channels}&last_event_id=${id}&wait=5`,
      headers,
    )
    t.equal(answer.reset, undefined)
    for (const { event, data, id: eventId } of answer.events) {
      t.ok(typeof eventId === 'string')
      seen.push(numberOf(event === 'message' ? data : (data as { data: unknown }).data))
    }
    id = answer.last_event_id
  }
  await writing
  t.equal(new Set(seen).size, seen.length, 'nothing twice')
  t.same(
    [...seen].sort((a, b) => a - b),
    range(1, 120),
    'and nothing missing',
  )
  for (const own of [
    (n: number) => Math.floor((n - 1) / 4) % 3 === 0,
    (n: number) => Math.floor((n - 1) / 4) % 3 !== 0,
  ]) {
    const part = seen.filter(own)
    t.same(
      part,
      [...part].sort((a, b) => a - b),
      'each channel in order',
    )
  }
})

t.test('a poll waits for what comes, and gives up in good time', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  const { write } = createWriter(t, connection)
  const headers = await bearer()
  const { last_event_id: id } = await poll(node, 'channel=user', headers)
  const began = performance.now()
  const nothing = await poll(node, `last_event_id=${id}&wait=1`, headers)
  t.same(nothing.events, [])
  const waited = performance.now() - began
  t.ok(waited >= 500 && waited < 4_000, `${Math.round(waited)} ms`)
  t.same((await poll(node, `last_event_id=${id}&wait=0`, headers)).events, [], 'wait=0 never waits')
  const waiting = poll(node, `last_event_id=${nothing.last_event_id}&wait=20`, headers)
  await eventually(async () => /realtime_connections\{transport="poll"\} 1/.test(await node.metrics.render()))
  await write(personal(), [1])
  t.same(numbers(await waiting), [1])
  // the header beats the query, and a position that can't be followed is said at once
  const again = await poll(node, 'last_event_id=rubbish', { ...headers, 'last-event-id': id })
  t.same([numbers(again), again.reset], [[1], undefined])
  const reset = await poll(node, 'last_event_id=rubbish&wait=20', headers)
  t.same(reset.reset, [{ channel: 'user', reason: 'unknown' }])
  // a node that is emptied lets its pollers go, and they have lost nothing
  const last = poll(node, `last_event_id=${again.last_event_id}&wait=20`, headers)
  await eventually(async () => /realtime_connections\{transport="poll"\} 1/.test(await node.metrics.render()))
  await node.service.drain()
  const { last_event_id: kept } = await last
  await write(personal(), [2])
  const other = await useNode(t, nats.url)
  t.same(numbers(await poll(other, `last_event_id=${kept}&wait=5`, headers)), [2])
  const refused = await fetch(`${node.url}/v1/poll`, { headers })
  t.equal(refused.status, 503)
  t.ok(Number(refused.headers.get('retry-after')) >= 1)
})

t.test('a poll that is given up leaves nothing behind, and bad ones are told what is wrong', async (t) => {
  const { nats, connection } = await useLive(t)
  answerRules(t, connection, [])
  const node = await useNode(t, nats.url, { maxConnectionsPerUser: 1 })
  const headers = await bearer()
  const { last_event_id: id } = await poll(node, '', headers)
  const count = async () =>
    /realtime_connections\{transport="poll"\} (\d+)/.exec(await node.metrics.render())?.[1]
  const controller = new AbortController()
  const given = fetch(`${node.url}/v1/poll?last_event_id=${id}`, { headers, signal: controller.signal })
  await eventually(async () => (await count()) === '1')
  t.equal((await fetch(`${node.url}/v1/poll`, { headers })).status, 429, 'a poll counts as a connection')
  controller.abort()
  await t.rejects(given)
  await eventually(async () => (await count()) === '0')
  t.equal((await fetch(`${node.url}/v1/poll?wait=0`, { headers })).status, 200)
  for (const [query, status, code] of [
    ['wait=31', 400, 'WAIT_INVALID'],
    ['wait=x', 400, 'WAIT_INVALID'],
    ['wait=-1', 400, 'WAIT_INVALID'],
    ['wait=', 400, 'WAIT_INVALID'],
    ['channel=wall', 404, 'CHANNEL_UNKNOWN'],
    ['channel=room:b', 403, 'CHANNEL_DENIED'],
  ] as const) {
    const answer = await fetch(`${node.url}/v1/poll?${query}`, { headers })
    t.match({ status: answer.status, ...((await answer.json()) as object) }, { status, code }, query)
  }
  t.equal((await fetch(`${node.url}/v1/poll`)).status, 401)
  t.equal(
    (await fetch(`${node.url}/v1/poll`, { headers: { ...headers, origin: 'https://evil.example' } })).status,
    403,
  )
  for (const path of ['/v1/poll', '/v1/sse']) {
    t.equal(
      (await fetch(`${node.url}${path}`, { headers, method: 'HEAD' })).status,
      404,
      'HEAD opens no stream',
    )
  }
})

t.test('an answer of a poll stays small, and the rest comes with the next', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  const { write } = createWriter(t, connection)
  const headers = await bearer()
  let { last_event_id: id } = await poll(node, '', headers)
  await write(personal(), range(1, 60), 40_000)
  const seen: number[] = []
  let answers = 0
  while (seen.length < 60) {
    const answer = await poll(node, `last_event_id=${id}&wait=5`, headers)
    seen.push(...numbers(answer))
    id = answer.last_event_id
    answers++
  }
  t.same(seen, range(1, 60))
  t.ok(answers >= 2 && answers <= 4, `${answers} answers for 2.4 MB`)
})

t.test('a room says who published, and what has no history stands beside it without an id', async (t) => {
  const { nats, connection } = await useLive(t)
  answerRules(t, connection, [])
  const node = await useNode(t, nats.url)
  const token = await signToken({
    channels: { 'room:ride-9': ['subscribe'], 'latest:ride-9': ['subscribe'] },
  })
  const query = '?channel=room:ride-9&channel=latest:ride-9'
  const client = await openSse(t, node.url, { token, query })
  await eventually(() => client.lastId !== '')
  t.same(JSON.parse(client.events[0]?.data ?? ''), { channels: { 'room:ride-9': { recovered: false } } })
  const who = { user: 'bob', client: 'c-1' }
  connection.publishCore(room('ride-9'), '{"text":"hello"}', { [HEADERS.publisher]: JSON.stringify(who) })
  await eventually(() => client.events.length === 2)
  const [, said] = client.events
  t.equal(said?.type, 'room:ride-9')
  const publication = JSON.parse(said?.data ?? '')
  t.match(publication, { data: { text: 'hello' }, info: who })
  t.equal(typeof publication.offset, 'number')
  const before = client.lastId
  const place = latestSubject('acme', 'ride-9')
  connection.publishCore(place, '{"x":1}', { [HEADERS.key]: 'car-7' })
  await eventually(() => client.events.length === 3)
  t.match(client.events[2], { type: 'latest:ride-9', data: '{"data":{"x":1},"key":"car-7"}', id: before })
  connection.publishCore(place, '{"x":2}', { [HEADERS.key]: 'car-7' })
  connection.publishCore(place, '{"x":9}', { [HEADERS.key]: 'car-8' })
  connection.publishCore(place, 'rubbish')
  await eventually(() => client.events.length === 5)
  const late = await openSse(t, node.url, { token, query, lastId: client.lastId })
  await eventually(() => late.events.length === 3)
  t.same(
    late.events.slice(1).map(({ data }) => JSON.parse(data)),
    [
      { data: { x: 2 }, key: 'car-7' },
      { data: { x: 9 }, key: 'car-8' },
    ],
    'who comes later is shown the newest of each',
  )
  t.equal((await openSse(t, node.url, { token, query: '?channel=latest:ride-8' })).status, 403)
  const headers = { authorization: `Bearer ${token}` }
  const { last_event_id: id } = await poll(node, query.slice(1), headers)
  const waiting = poll(node, `${query.slice(1)}&last_event_id=${id}&wait=10`, headers)
  await eventually(async () => /realtime_connections\{transport="poll"\} 1/.test(await node.metrics.render()))
  connection.publishCore(place, '{"x":3}', { [HEADERS.key]: 'car-7' })
  t.same((await waiting).events, [{ event: 'latest:ride-9', data: { data: { x: 3 }, key: 'car-7' } }])
})

t.test('who reads slowly gets only the newest of what has no history, and all of what has', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url, { maxQueuedBytes: 8 * 1_048_576 })
  const { write } = createWriter(t, connection)
  const token = await signToken({ channels: { 'latest:cars': ['subscribe'] } })
  const query = '?channel=user&channel=latest:cars'
  const slow = await openSse(t, node.url, { token, query })
  const quick = await openSse(t, node.url, { token, query })
  await eventually(() => slow.lastId !== '' && quick.lastId !== '')
  slow.response.pause()
  const place = latestSubject('acme', 'cars')
  const move = (key: string, x: number) =>
    connection.publishCore(place, `{"x":${x},"pad":"${'x'.repeat(20_000)}"}`, { [HEADERS.key]: key })
  let x = 0
  // the kernel takes some megabytes before anything queues here
  for (; x < 1_200; x++) {
    move(x % 2 === 0 ? 'car-1' : 'car-2', x)
    if (x % 50 === 0) await write(personal(), [x / 50 + 1])
  }
  const places = (client: SseClient) => client.events.filter(({ type }) => type === 'latest:cars')
  await eventually(() => places(quick).length === x && quick.numbers().length === 24)
  slow.response.resume()
  const newest = (client: SseClient) => {
    const found = new Map<string, number>()
    for (const { data } of places(client)) {
      const { key, data: at } = JSON.parse(data) as { key: string; data: { x: number } }
      found.set(key, at.x)
    }
    return [...found.values()].sort((a, b) => a - b)
  }
  await eventually(() => newest(slow).at(-1) === x - 1 && slow.numbers().length === 24)
  t.same(newest(slow), [x - 2, x - 1], 'the newest of each key')
  t.same(slow.numbers(), range(1, 24), 'every stored frame')
  t.ok(places(slow).length < x, `${places(slow).length} of ${x} moves were worth sending`)
})

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

  const short = await ask({ ...(await bearer({ expiresInSeconds: 2 })), cookie })
  const { ticket: ending } = (await short.json()) as { ticket: string }
  const ends = await openSse(t, (await useNode(t, nats.url, { heartbeatSeconds: 1 }, redis.url)).url, {
    query: `?ticket=${ending}`,
    headers: { cookie },
  })
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
  answerRules(t, connection, [{ namespace: 'ride', authorise: true }])
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

t.test('every byte of a stream is what a strict parser expects', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url, { heartbeatSeconds: 1 })
  const { write } = createWriter(t, connection)
  const token = await signToken({ channels: { 'room:a': ['subscribe'], 'latest:a': ['subscribe'] } })
  const messages: EventSourceMessage[] = []
  const comments: string[] = []
  const problems: unknown[] = []
  let text = ''
  let retry = 0
  const parser = createParser({
    onEvent: (message) => messages.push(message),
    onComment: (comment) => comments.push(comment),
    onRetry: (ms) => {
      retry = ms
    },
    onError: (error) => problems.push(error),
  })
  const close = await stream(
    t,
    `${node.url}/v1/sse?channel=user&channel=room:a&channel=latest:a`,
    token,
    (chunk) => {
      text += chunk
      parser.feed(chunk)
    },
  )
  await eventually(() => messages.length === 1)
  await write(personal(), [1])
  connection.publishCore(room('a'), '{"text":"Grüße \u2028 🚲\\n\\r\\nid: 0"}')
  connection.publishCore(room('a'), `{\r\n"text":\n"two"\r}`)
  connection.publishCore(latestSubject('acme', 'a'), '{"x":1}')
  await eventually(() => messages.length === 5 && (comments.length > 0 || /\n\nid: \S+\n\n/.test(text)))
  close()
  t.same(problems, [])
  t.ok(retry >= 1_000)
  const rooms = messages
    .filter(({ event }) => event === 'room:a')
    .map(({ data }) => JSON.parse(data).data.text)
  t.same(rooms, ['Grüße \u2028 🚲\n\r\nid: 0', 'two'])
  t.same(messages.map(({ event }) => event ?? '').sort(), ['', 'latest:a', 'ready', 'room:a', 'room:a'])
  for (const { id } of messages) t.match(id ?? 'x', /^[\w.-]{1,128}$|^x$/)
  t.notMatch(text, /\r/, 'lines end in one way')
  for (const block of text.split('\n\n').slice(0, -1)) {
    for (const line of block.split('\n')) t.match(line, /^(id|event|data|retry): |^:$/)
  }
})

async function stream(
  t: TestScope,
  url: string,
  token: string,
  onChunk: (chunk: string) => void,
): Promise<() => void> {
  const controller = new AbortController()
  t.teardown(() => controller.abort())
  const answer = await fetch(url, {
    headers: { authorization: `Bearer ${token}` },
    signal: controller.signal,
  })
  const decoder = new TextDecoder()
  const read = async () => {
    for await (const chunk of answer.body ?? []) onChunk(decoder.decode(chunk, { stream: true }))
  }
  read().catch((error: { name: string }) => {
    if (error.name !== 'AbortError') throw error
  })
  return () => controller.abort()
}
