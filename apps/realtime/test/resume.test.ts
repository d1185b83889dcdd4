import { eventually, failOnLeaks } from '@carillon/testkit'
import t from 'tap'
import { decodeCursor } from '../src/stream/cursor.js'
import {
  applyLive,
  countLooks,
  createWriter,
  personal,
  range,
  room,
  signToken,
  useLive,
  useNode,
} from './mesh.js'
import { openSse } from './sse-client.js'

t.test('a reader that comes back with its last id gets what it missed, once and in order', async (t) => {
  failOnLeaks(t)
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  const { write } = createWriter(t, connection)
  const token = await signToken()
  await write(personal(), [1])
  const first = await openSse(t, node.url, { token })
  await eventually(() => first.events.some(({ type }) => type === 'ready'))
  t.equal(first.headers['x-accel-buffering'], 'no')
  t.match(first.headers['content-type'], /^text\/event-stream/)
  t.ok((first.retryMs ?? 0) >= 1_000, 'a delay for reconnecting is set')
  await write(personal(), [2, 3])
  await eventually(() => first.numbers().length === 2)
  first.cut()
  await write(personal(), [4, 5])

  const second = await openSse(t, node.url, { token, lastId: first.lastId })
  await write(personal(), [6])
  await eventually(() => second.numbers().length === 3)
  t.same(first.numbers(), [2, 3], 'what came before the connection is not repeated')
  t.same(second.numbers(), [4, 5, 6])

  const cold = await useNode(t, nats.url)
  const third = await openSse(t, cold.url, { token, lastId: first.lastId })
  await eventually(() => third.numbers().length === 3)
  t.same(third.numbers(), [4, 5, 6], 'another node reads them back from the stream')
  t.same(
    third.events.filter(({ type }) => type === 'reset'),
    [],
  )

  const query = await openSse(t, cold.url, {
    token,
    query: `?channel=user&last_event_id=${second.lastId}`,
    lastId: first.lastId,
  })
  await eventually(() => query.numbers().length === 3)
  t.same(query.numbers(), [4, 5, 6], 'the header beats the query')
})

t.test('a reader that has seen no event yet is resumed from the id of ready', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  const { write } = createWriter(t, connection)
  const token = await signToken()
  const first = await openSse(t, node.url, { token })
  await eventually(() => first.lastId !== '')
  first.cut()
  await write(personal(), [1, 2])
  const cold = await useNode(t, nats.url)
  for (const { url } of [node, cold]) {
    const second = await openSse(t, url, { token, lastId: first.lastId })
    await eventually(() => second.numbers().length === 2)
    t.same(second.numbers(), [1, 2])
  }
})

t.test('a reader whose frames were evicted is told to begin again', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  const { write } = createWriter(t, connection)
  const token = await signToken()
  await write(personal('other'), [0])
  const first = await openSse(t, node.url, { token })
  await eventually(() => first.lastId !== '')
  await write(personal(), [1])
  await eventually(() => first.numbers().length === 1)
  first.cut()
  await write(personal(), range(2, 230))
  const cold = await useNode(t, nats.url)
  for (const [name, { url }] of Object.entries({ warm: node, cold })) {
    const second = await openSse(t, url, { token, lastId: first.lastId })
    await eventually(() => second.events.some(({ type }) => type === 'reset'))
    t.same(second.numbers(), [], `nothing is shown with a hole in it (${name})`)
    t.same(JSON.parse(second.events.find(({ type }) => type === 'reset')?.data ?? ''), {
      channel: 'user',
      reason: 'evicted',
    })
    await write(personal(), [1_000])
    await eventually(() => second.numbers().includes(1_000))
  }
  const within = await openSse(t, cold.url, { token })
  await eventually(() => within.lastId !== '')
  within.cut()
  await write(personal(), range(2_000, 2_149))
  const resumed = await openSse(t, cold.url, { token, lastId: within.lastId })
  await eventually(() => resumed.numbers().length === 150)
  t.same(resumed.numbers(), range(2_000, 2_149), 'more than memory holds but fewer than the limit come back')
})

t.test('ids that can not be followed are answered with reset', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  const { write } = createWriter(t, connection)
  await write(personal(), [1])
  const token = await signToken()
  const other = await openSse(t, node.url, { token: await signToken({ user: 'bob' }) })
  const own = await openSse(t, node.url, { token })
  await eventually(() => other.lastId !== '' && own.lastId !== '')
  const ahead = own.lastId.replace(/^(.{7})[0-9a-z]+/, '$1zzzz')
  const cases = {
    nonsense: ['hello', 'unknown'],
    'of another user': [other.lastId, 'unknown'],
    'of another epoch': [`1AAAAAA${own.lastId.slice(7)}`, 'epoch'],
    'beyond the head': [ahead, 'ahead'],
  }
  for (const [name, [lastId, reason]] of Object.entries(cases)) {
    const client = await openSse(t, node.url, { token, lastId: lastId as string })
    await eventually(() => client.events.some(({ type }) => type === 'reset'))
    const reset = JSON.parse(client.events.find(({ type }) => type === 'reset')?.data ?? '{}')
    t.equal(reset.reason, reason, name)
    t.same(client.numbers(), [])
  }
})

t.test('one id holds the positions of several channels', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  const { write } = createWriter(t, connection)
  const token = await signToken({ rooms: ['ride-9', 'ride-10'] })
  const query = '?channel=user&channel=room:ride-9&channel=room:ride-10'
  const first = await openSse(t, node.url, { token, query })
  await eventually(() => first.lastId !== '')
  await write(personal(), [1])
  await write(room('ride-9'), [101])
  await eventually(() => first.events.length === 3)
  t.same([first.numbers(), first.numbers('room:ride-9')], [[1], [101]])
  first.cut()
  t.ok(first.lastId.length <= 128)
  await write(personal(), [2])
  await write(room('ride-10'), [201])
  await write(room('ride-9'), [102])
  const cold = await useNode(t, nats.url)
  for (const { url } of [node, cold]) {
    const second = await openSse(t, url, { token, query, lastId: first.lastId })
    await eventually(() => second.events.length >= 4)
    t.same(second.numbers(), [2])
    t.same(second.numbers('room:ride-9'), [102])
    t.same(second.numbers('room:ride-10'), [201])
    // cut after the first frame: the others must come again from that very id
    const half = second.events.find(({ type }) => type !== 'ready')
    const third = await openSse(t, url, { token, query, lastId: half?.id ?? '' })
    await eventually(() => third.events.length >= 3)
    const seen = [half, ...third.events].filter((event) => event?.type !== 'ready')
    t.equal(seen.length, 3, 'one and the other two')
    t.equal(new Set(seen.map((event) => event?.data)).size, 3)
  }
})

t.test('a frame that was never republished is read back when the next one shows the gap', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url, { checkSeconds: 3_600 })
  const { write } = createWriter(t, connection)
  await write(personal(), [0])
  const looks = await countLooks(connection)
  const client = await openSse(t, node.url, { token: await signToken() })
  await eventually(() => client.lastId !== '')
  await write(personal(), [1])
  await eventually(() => client.numbers().length === 1)
  // the first check would find it too; the next one is an hour away
  await eventually(() => looks() === 3)
  await applyLive(connection, 'republish: { src: "rt.nobody.>", dest: "live.nobody.>" }')
  await write(personal(), [2, 3])
  await applyLive(connection)
  await write(personal(), [4])
  await eventually(() => client.numbers().length === 4)
  t.same(client.numbers(), [1, 2, 3, 4])
  t.match(await node.metrics.render(), /realtime_gaps_total [1-9]/)
})

t.test('a loss that no later frame shows is found by looking at the head', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url, { checkSeconds: 1 })
  const { write } = createWriter(t, connection)
  const client = await openSse(t, node.url, { token: await signToken() })
  await eventually(() => client.lastId !== '')
  await applyLive(connection, 'republish: { src: "rt.nobody.>", dest: "live.nobody.>" }')
  await write(personal(), [1, 2])
  await eventually(() => client.numbers().length === 2)
  t.same(client.numbers(), [1, 2])
})

t.test('fifty reconnections in a row lose and double nothing while frames keep coming', async (t) => {
  const { nats, connection } = await useLive(t)
  const nodes = [await useNode(t, nats.url), await useNode(t, nats.url)]
  const { write } = createWriter(t, connection)
  const token = await signToken()
  const seen: number[] = []
  let lastId: string | undefined
  let next = 1
  for (let round = 0; round < 50; round++) {
    const url = nodes[round % 2]?.url as string
    const client = await openSse(t, url, { token, ...(lastId === undefined ? {} : { lastId }) })
    await eventually(() => client.lastId !== '', { everyMs: 2 })
    const batch = range(next, next + 3)
    next += 4
    const written = write(personal(), batch)
    // cut in the middle of it, wherever that happens to be
    await eventually(() => client.numbers().length >= (round % 4) + (round === 0 ? 0 : 1), { everyMs: 1 })
    client.cut()
    await written
    seen.push(...client.numbers())
    lastId = client.lastId
    t.notOk(client.events.some(({ type }) => type === 'reset'))
  }
  const last = await openSse(t, nodes[0]?.url as string, { token, lastId: lastId ?? '' })
  await eventually(() => seen.length + last.numbers().length >= next - 1)
  t.same([...seen, ...last.numbers()], range(1, next - 1))
})

t.test('a quiet reader keeps up by heartbeats that carry an id', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url, { heartbeatSeconds: 1, checkSeconds: 1 })
  const { write } = createWriter(t, connection)
  const token = await signToken()
  const quiet = await openSse(t, node.url, { token })
  const loud = await openSse(t, node.url, { token, query: '?heartbeat=event' })
  await eventually(() => quiet.lastId !== '')
  const sequences = await write(personal('other'), range(1, 250))
  const place = () => Math.max(...(decodeCursor(quiet.lastId)?.offsets.values() ?? []))
  await eventually(() => place() >= Math.max(...sequences))
  t.same(
    quiet.events.map(({ type }) => type),
    ['ready'],
    'the script is not woken',
  )
  await eventually(() => loud.events.some(({ type }) => type === 'heartbeat'))
  quiet.cut()
  const cold = await useNode(t, nats.url)
  const back = await openSse(t, cold.url, { token, lastId: quiet.lastId })
  await eventually(() => back.events.length > 0)
  t.match(back.events[0], {
    type: 'ready',
    data: JSON.stringify({ channels: { user: { recovered: true } } }),
  })
})
