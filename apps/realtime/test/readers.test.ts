import { HEADERS, latestSubject } from '@carillon/contracts'
import { eventually, type TestScope } from '@carillon/testkit'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import t from 'tap'
import { answerRules, createWriter, personal, range, room, signToken, useLive, useNode } from './mesh.js'
import { poll } from './poll-client.js'
import { openSse, type SseClient } from './sse-client.js'

t.test('a room says who published, and what has no history stands beside it without an id', async (t) => {
  const { nats, connection } = await useLive(t)
  await answerRules(t, connection, [])
  const node = await useNode(t, nats.url)
  const token = await signToken({
    channels: { 'room:ride-9': ['subscribe'], 'latest:ride-9': ['subscribe'] },
  })
  const query = '?channel=room:ride-9&channel=latest:ride-9'
  const client = await openSse(t, node.url, { token, query })
  await eventually(() => client.lastId !== '')
  await node.flush()
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
  connection.publishCore(place, 'rubbish')
  connection.publishCore(place, '{"x":9}', { [HEADERS.key]: 'car-8' })
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
  const alone = 'channel=latest:ride-9'
  const now = await poll(node, alone, headers)
  t.equal(now.events.length, 2, 'the newest of each at first')
  const quiet = await poll(node, `${alone}&last_event_id=${now.last_event_id}&wait=1`, headers)
  t.same(quiet.events, [], 'and then only what is new')
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
  await node.flush()
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
  const newest = (client: SseClient) => {
    const found = new Map<string, number>()
    for (const { data } of places(client)) {
      const { key, data: at } = JSON.parse(data) as { key: string; data: { x: number } }
      found.set(key, at.x)
    }
    return [...found.values()].sort((a, b) => a - b)
  }
  const hasAll = (client: SseClient) => newest(client).at(-1) === x - 1 && client.numbers().length === 24
  await eventually(() => hasAll(quick))
  slow.response.resume()
  await eventually(() => hasAll(slow))
  t.same(newest(slow), [x - 2, x - 1], 'the newest of each key')
  t.same(slow.numbers(), range(1, 24), 'every stored frame')
  t.ok(places(slow).length < x, `${places(slow).length} of ${x} moves were worth sending`)
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
  await node.flush()
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
