import { STREAMS } from '@carillon/contracts'
import { ask } from '@carillon/jetstream'
import { eventually } from '@carillon/testkit'
import { Centrifuge } from 'centrifuge'
import t from 'tap'
import WebSocket from 'ws'
import { useForwarder } from './forwarder.js'
import {
  applyLive,
  countLooks,
  createWriter,
  numberOf,
  PATIENT_MS,
  personal,
  range,
  signToken,
  useLive,
  useNode,
} from './mesh.js'
import { openSse, type SseClient } from './sse-client.js'

/** What a reader was shown until a reset, and from it to the next one. */
function partsOf({ events }: SseClient): number[][] {
  const parts: number[][] = [[]]
  for (const { type, data } of events) {
    if (type === 'reset') parts.push([])
    else if (type === 'message') parts.at(-1)?.push(numberOf(JSON.parse(data)))
  }
  return parts
}

t.test('when NATS was cut off and comes back, nobody misses, repeats or notices anything', async (t) => {
  const { nats, connection } = await useLive(t)
  const front = await useForwarder(t, nats.url)
  const node = await useNode(t, front.url.replace('http', 'nats'))
  const { write } = createWriter(t, connection)
  const token = await signToken()
  const client = await openSse(t, node.url, { token })
  await eventually(() => client.lastId !== '')
  await write(personal(), [1])
  await eventually(() => client.numbers().length === 1)
  let next = 2
  for (let round = 0; round < 3; round++) {
    front.target = 'nats://127.0.0.1:1'
    front.cut()
    await eventually(async () => !(await node.health.report()).ok)
    const refused = await openSse(t, node.url, { token })
    await eventually(() => refused.ended)
    t.same(refused.events, [], 'new readers are not served with what may be old')
    t.ok((refused.retryMs ?? 0) >= 1_000, 'they are asked to come back in words that an EventSource follows')
    t.equal((await openSse(t, node.url, { token, headers: { accept: '*/*' } })).status, 503)
    await write(personal(), range(next, next + 9))
    next += 10
    front.target = nats.url
    await eventually(() => client.numbers().length === next - 1)
    await eventually(async () => (await node.health.report()).ok)
  }
  await write(personal(), [next])
  await eventually(() => client.numbers().length === next)
  t.same(client.numbers(), range(1, next))
  t.same(
    client.events.filter(({ type }) => type === 'reset'),
    [],
  )
})

for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
  t.test(
    `after NATS went down by ${signal} every reader is told to begin again, and none is behind`,
    async (t) => {
      const { nats, connection } = await useLive(t)
      const node = await useNode(t, nats.url)
      const { write } = createWriter(t, connection)
      const token = await signToken()
      const stays = await openSse(t, node.url, { token })
      const gone = await openSse(t, node.url, { token })
      const client = new Centrifuge(
        [{ transport: 'websocket', endpoint: `${node.url.replace('http', 'ws')}/v1/connection/websocket` }],
        {
          websocket: WebSocket,
          token,
          minReconnectDelay: 10,
          maxReconnectDelay: 50,
          timeout: PATIENT_MS,
        },
      )
      t.teardown(() => client.disconnect())
      const seen: number[] = []
      /** How many were seen when each `subscribed` came, and whether it was a recovery. */
      const subscribed: { after: number; recovered: boolean; wasRecovering: boolean }[] = []
      client.on('publication', ({ data }) => seen.push(numberOf(data)))
      client.on('subscribed', ({ recovered, wasRecovering }) =>
        subscribed.push({ after: seen.length, recovered, wasRecovering }),
      )
      client.connect()
      await client.ready(PATIENT_MS)
      await eventually(() => stays.lastId !== '' && gone.lastId !== '')
      await write(personal(), range(1, 20))
      await eventually(
        () => stays.numbers().length === 20 && gone.numbers().length === 20 && seen.length === 20,
      )
      gone.cut()

      const during = write(personal(), range(21, 60))
      await nats.kill(signal)
      await nats.restart()
      await during
      await eventually(() => stays.events.some(({ type }) => type === 'reset'))
      await eventually(() => subscribed.length >= 2 && client.state === 'connected')
      t.match(subscribed[1], { recovered: false, wasRecovering: true })

      await eventually(async () => (await node.health.report()).ok)
      // who is behind it has seen all that was published during the outage; the last may still be on its way
      await write(personal(), [0])
      await eventually(() => stays.numbers().includes(0))
      const back = await openSse(t, node.url, { token, lastId: gone.lastId })
      await eventually(() => back.events.some(({ type }) => type === 'reset'))
      t.same(back.numbers(), [], 'an old id is not followed into a new run of the stream')
      const numbers = range(61, 80)
      const sequences = await write(personal(), numbers)
      // a publish repeated after the outage may be stored behind later ones: the stream's order is what counts
      const place = new Map(numbers.map((n, index) => [n, sequences[index] as number]))
      const expected = numbers.sort((a, b) => (place.get(a) as number) - (place.get(b) as number))
      await eventually(() =>
        [stays.numbers(), back.numbers(), seen].every((found) => found.filter((n) => n > 60).length >= 20),
      )
      const begins = [0, ...subscribed.slice(1).map(({ after }) => after)]
      for (const [name, parts] of Object.entries({
        stays: partsOf(stays),
        back: partsOf(back),
        websocket: begins.map((begin, index) => seen.slice(begin, begins[index + 1])),
      })) {
        const tail = parts.flat().filter((n) => n > 60)
        t.same(tail, expected, `${name}: all that came after the reset, once and in order`)
        // what was shown and neither acknowledged nor on the disk is published again, and stored behind the reset
        for (const part of parts) t.equal(new Set(part).size, part.length, `${name}: nothing twice`)
      }
    },
  )
}

t.test('a stream made anew under a running server is told as soon as it speaks', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url, { checkSeconds: 3_600, heartbeatSeconds: 1 })
  const { write } = createWriter(t, connection)
  const token = await signToken()
  await write(personal(), [0])
  const looks = await countLooks(connection)
  const stays = await openSse(t, node.url, { token })
  const gone = await openSse(t, node.url, { token })
  await eventually(() => stays.lastId !== '' && gone.lastId !== '')
  await write(personal(), range(1, 20))
  await eventually(() => stays.numbers().length === 20 && gone.numbers().length === 20)
  gone.cut()
  // the first check is over; the next one is an hour away
  await eventually(() => looks() === 3)
  t.match(await ask(connection, `$JS.API.STREAM.DELETE.${STREAMS.live}`, {}), { success: true })
  await applyLive(connection)
  await write(personal(), [21])
  await eventually(() => stays.events.some(({ type }) => type === 'reset'))
  t.match(JSON.parse(stays.events.find(({ type }) => type === 'reset')?.data ?? ''), { reason: 'epoch' })
  await write(personal(), [22, 23])
  await eventually(() => stays.numbers().includes(23))
  t.same(stays.numbers().slice(-2), [22, 23])
  const back = await openSse(t, node.url, { token, lastId: gone.lastId })
  await eventually(() => back.events.some(({ type }) => type === 'reset'))
  t.same(back.numbers(), [], 'an old place is not followed into the new stream')
})
