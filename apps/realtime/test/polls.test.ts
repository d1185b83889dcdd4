import { eventually } from '@carillon/testkit'
import t from 'tap'
import { decodeCursor } from '../src/stream/cursor.js'
import {
  answerRules,
  createWriter,
  numberOf,
  personal,
  type RealtimeNode,
  range,
  room,
  useLive,
  useNode,
} from './mesh.js'
import { bearer, type PollAnswer, poll } from './poll-client.js'

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
  t.ok(waited >= 500 && waited < 20_000, `${Math.round(waited)} ms, not the 25 s of who says nothing`)
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
  await answerRules(t, connection, [])
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
  const sequences = await write(personal(), range(1, 60), 40_000)
  // the node has heard of all of them
  const place = async () => decodeCursor((await poll(node, '', headers)).last_event_id)?.offsets.values()
  await eventually(async () => Math.max(...((await place()) ?? [])) >= Math.max(...sequences))
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
