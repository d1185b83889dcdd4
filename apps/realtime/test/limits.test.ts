import { authoriseSubject, HEADERS } from '@carillon/contracts'
import { answerQuestions } from '@carillon/jetstream'
import { eventually, type TestScope, useRedis } from '@carillon/testkit'
import { Centrifuge } from 'centrifuge'
import t from 'tap'
import WebSocket from 'ws'
import { answerRules, PATIENT_MS, signToken, useLive, useNode } from './mesh.js'

const address = (url: string) => `${url.replace('http', 'ws')}/v1/connection/websocket`

interface Said {
  id?: number
  error?: { code: number }
  subscribe?: { publications?: { data: unknown }[] }
  push?: { pub?: { data: unknown } }
}

/** A connection that says what it likes; pings are answered and not among what was said. */
async function useRaw(t: TestScope, url: string, token: string) {
  const socket = new WebSocket(address(url))
  t.teardown(() => socket.terminate())
  const said: Said[] = []
  socket.on('message', (data) => {
    for (const line of data.toString().split('\n')) {
      if (line === '{}') socket.send('{}')
      else said.push(JSON.parse(line))
    }
  })
  await new Promise((resolve) => socket.on('open', resolve))
  const send = (...commands: object[]) => socket.send(commands.map((each) => JSON.stringify(each)).join('\n'))
  send({ id: 1, connect: { token } })
  await eventually(() => said.length === 1)
  return { said, send, socket }
}

t.test('nobody asks or comes and goes without end', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  await answerRules(t, connection, [])
  const token = await signToken({ channels: { 'room:*': ['subscribe', 'history', 'presence'] } })
  // none of them reads the stream, so that a busy machine is quicker than its budget grows again
  const ways: Record<string, (id: number) => object[]> = {
    history: (id) => [{ id, history: { channel: 'room:a' } }],
    presence: (id) => [{ id, presence: { channel: 'room:a' } }],
    presence_stats: (id) => [{ id, presence_stats: { channel: 'room:a' } }],
    subscribe: (id) => [
      { id, subscribe: { channel: 'room:b' } },
      { id: id + 10_000, unsubscribe: { channel: 'room:b' } },
    ],
  }
  for (const [way, commands] of Object.entries(ways)) {
    const { said, send } = await useRaw(t, node.url, token)
    send({ id: 2, subscribe: { channel: 'room:a' } })
    const answered = (id: number) => eventually(() => said.some((reply) => reply.id === id))
    await answered(2)
    const firstRefused = () => said.find(({ error }) => error?.code === 111)?.id
    let id = 3
    while (firstRefused() === undefined && id < 3_003) {
      send(...Array.from({ length: 100 }, () => commands(id++)).flat())
      await answered(id - 1)
    }
    const before = (firstRefused() ?? 0) - 2
    t.ok(before >= 400, `${way} is refused, but not the first 400 times: ${before}`)
  }
})

t.test('who comes to a channel late is shown no more than a megabyte of what is newest', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url, { maxQueuedBytes: 16 * 1_048_576 })
  await answerRules(t, connection, [])
  const token = await signToken({ channels: { 'latest:a': ['subscribe'] } })
  const first = await useRaw(t, node.url, token)
  first.send({ id: 2, subscribe: { channel: 'latest:a' } })
  await eventually(() => first.said.length === 2)
  await node.flush()
  for (let n = 0; n < 250; n++) {
    const body = JSON.stringify({ n, padding: 'x'.repeat(30_000) })
    connection.publishCore('live.acme.latest.a', body, { [HEADERS.key]: `k${n}` })
  }
  await eventually(() => first.said.length === 252)
  const second = await useRaw(t, node.url, token)
  second.send({ id: 2, subscribe: { channel: 'latest:a' } })
  const shown = () => [
    ...(second.said[1]?.subscribe?.publications ?? []),
    ...second.said.slice(2).map(({ push }) => push?.pub),
  ]
  await eventually(() => (shown().at(-1)?.data as { n?: number } | undefined)?.n === 249)
  const bytes = JSON.stringify(shown()).length
  t.ok(bytes > 500_000 && bytes < 1_100_000, `${bytes} bytes`)
})

t.test('a service that does not answer holds nobody up', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  await answerRules(t, connection, [{ namespace: 'slow', authorise: true }])
  const never = new Promise(() => undefined)
  let asked = 0
  answerQuestions(
    connection,
    authoriseSubject('acme', 'slow'),
    { onFailure: (error) => t.error(error) },
    () => {
      asked++
      return never
    },
  )
  await connection.flush()
  const { said, send } = await useRaw(t, node.url, await signToken({ rooms: ['a'] }))
  const slow = Array.from({ length: 4 }, (_, n) => ({ id: 2 + n, subscribe: { channel: `room:slow-${n}` } }))
  send(...slow, { id: 6, subscribe: { channel: 'room:a' } })
  await eventually(() => said.length === 6)
  t.match(said.slice(1), [...slow.map(() => ({ error: { code: 100 } })), { subscribe: {} }])
  t.equal(asked, 1, 'it is waited for once, which takes less than the five seconds of official clients')
})

t.test('an address opens a stream and gives no other command', async (t) => {
  const { nats } = await useLive(t)
  const node = await useNode(t, nats.url)
  const token = await signToken()
  const open = async (...commands: object[]) => {
    const text = commands.map((command) => JSON.stringify(command)).join('\n')
    const response = await fetch(`${node.url}/v1/connection/sse?cf_connect=${encodeURIComponent(text)}`)
    await response.body?.cancel()
    return response.status
  }
  const connect = { id: 1, connect: { token } }
  t.equal(await open(connect), 200)
  t.equal(await open(connect, { id: 2, rpc: { method: 'inbox.read-all' } }), 400)
  t.equal(await open({ id: 2, rpc: { method: 'inbox.read-all' } }), 400)
  t.equal(await open(connect, connect), 400)
})

t.test('what is nested without end is refused as a mistake of the client', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  await answerRules(t, connection, [])
  answerQuestions(connection, 'ask.inbox.acme', { onFailure: (error) => t.error(error) }, () => ({
    ok: true,
    data: {},
  }))
  await connection.flush()
  const { said, socket } = await useRaw(t, node.url, await signToken({ channels: { 'room:a': ['publish'] } }))
  const deep = `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`
  socket.send(`{"id":2,"rpc":{"method":"inbox.unread","data":${deep}}}`)
  socket.send(`{"id":3,"publish":{"channel":"room:a","data":${deep}}}`)
  socket.send(`{"id":4,"rpc":{"method":"inbox.unread"}}`)
  await eventually(() => said.length === 4)
  const reply = (id: number) => said.find((each) => each.id === id)
  t.match(reply(2), { error: { code: 107 } })
  t.match(reply(3), { error: { code: 422 } })
  t.match(reply(4), { rpc: { data: {} } })
  const response = await fetch(`${node.url}/v1/connection/sse?cf_connect=${'['.repeat(8_000)}`)
  t.equal(response.status, 400)
})

t.test('who comes to as many channels as there may be, and looks around in each, is served', async (t) => {
  const { nats, connection } = await useLive(t)
  const redis = await useRedis(t)
  const node = await useNode(t, nats.url, {}, redis.url)
  await answerRules(t, connection, [])
  const client = new Centrifuge(address(node.url), {
    websocket: WebSocket,
    token: await signToken({ channels: { 'room:*': ['subscribe', 'history', 'presence'] } }),
    timeout: PATIENT_MS,
  })
  t.teardown(() => client.disconnect())
  const connecting: number[] = []
  client.on('connecting', ({ code }) => connecting.push(code))
  const looks: Promise<unknown>[] = []
  for (let n = 0; n < 127; n++) {
    const subscription = client.newSubscription(`room:r-${n}`)
    subscription.on('subscribed', () =>
      looks.push(subscription.history({ limit: 1 }), subscription.presence()),
    )
    subscription.subscribe()
  }
  client.connect()
  await eventually(() => looks.length === 254 || connecting.length > 1)
  const failed = (await Promise.allSettled(looks)).filter(({ status }) => status === 'rejected')
  t.same(failed, [])
  t.same(connecting, [0])
})
