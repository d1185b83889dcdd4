import { authoriseSubject, HEADERS } from '@carillon/contracts'
import { answerQuestions } from '@carillon/jetstream'
import { eventually, type TestScope, useRedis } from '@carillon/testkit'
import { Centrifuge } from 'centrifuge'
import t from 'tap'
import WebSocket from 'ws'
import { answerRules, signToken, useLive, useNode } from './mesh.js'

const address = (url: string) => `${url.replace('http', 'ws')}/v1/connection/websocket`

interface Said {
  id?: number
  error?: { code: number }
  subscribe?: { publications?: unknown[] }
}

/** A connection that says what it likes. */
async function useRaw(t: TestScope, url: string, token: string) {
  const socket = new WebSocket(address(url))
  t.teardown(() => socket.terminate())
  const said: Said[] = []
  socket.on('message', (data) => {
    for (const line of data.toString().split('\n')) said.push(JSON.parse(line))
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
  answerRules(t, connection, [])
  const token = await signToken({ channels: { 'room:*': ['subscribe', 'history', 'presence'] } })
  const ways: Record<string, (id: number) => object> = {
    history: (id) => ({ id, history: { channel: 'room:a', limit: 1 } }),
    presence: (id) => ({ id, presence: { channel: 'room:a' } }),
    presence_stats: (id) => ({ id, presence_stats: { channel: 'room:a' } }),
    subscribe: (id) => ({ id, subscribe: { channel: `room:b-${id}` } }),
  }
  for (const [way, command] of Object.entries(ways)) {
    const { said, send } = await useRaw(t, node.url, token)
    send({ id: 2, subscribe: { channel: 'room:a' } })
    const refused = () => said.filter(({ error }) => error?.code === 111).length
    let id = 3
    while (refused() === 0 && id < 3_003) {
      const ids = Array.from({ length: 50 }, () => id++)
      if (way === 'subscribe') {
        for (const each of ids)
          send(command(each), { id: each + 10_000, unsubscribe: { channel: `room:b-${each}` } })
      } else send(...ids.map(command))
      await eventually(() => ids.every((each) => said.some((reply) => reply.id === each)))
    }
    t.ok(refused() > 0 && id > 400, `${way} is refused, but not the first 400 times`)
  }
})

t.test('who comes to a channel late is shown no more than a megabyte of what is newest', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  answerRules(t, connection, [])
  const token = await signToken({ channels: { 'latest:a': ['subscribe'] } })
  const first = await useRaw(t, node.url, token)
  first.send({ id: 2, subscribe: { channel: 'latest:a' } })
  await eventually(() => first.said.length === 2)
  for (let n = 0; n < 250; n++) {
    const body = JSON.stringify({ n, padding: 'x'.repeat(30_000) })
    connection.publishCore('live.acme.latest.a', body, { [HEADERS.key]: `k${n}` })
  }
  await eventually(() => first.said.length === 252)
  const second = await useRaw(t, node.url, token)
  second.send({ id: 2, subscribe: { channel: 'latest:a' } })
  await eventually(() => second.said.length === 2)
  const shown = second.said[1]?.subscribe?.publications ?? []
  const bytes = JSON.stringify(shown).length
  t.ok(bytes > 500_000 && bytes < 1_100_000, `${bytes} bytes`)
  t.match(shown.at(-1), { data: { n: 249 } })
})

t.test('a service that does not answer holds nobody up', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  answerRules(t, connection, [{ namespace: 'slow', authorise: true }])
  const never = new Promise(() => undefined)
  answerQuestions(
    connection,
    authoriseSubject('acme', 'slow'),
    { onFailure: (error) => t.error(error) },
    () => never,
  )
  const client = new Centrifuge(address(node.url), {
    websocket: WebSocket,
    token: await signToken({ rooms: ['a'] }),
  })
  t.teardown(() => client.disconnect())
  let connects = 0
  client.on('connected', () => connects++)
  for (let n = 0; n < 4; n++) client.newSubscription(`room:slow-${n}`).subscribe()
  const open = client.newSubscription('room:a')
  open.subscribe()
  client.connect()
  await open.ready(5_000)
  t.equal(connects, 1)
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
  answerRules(t, connection, [])
  answerQuestions(connection, 'ask.inbox.acme', { onFailure: (error) => t.error(error) }, () => ({
    ok: true,
    data: {},
  }))
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
  answerRules(t, connection, [])
  const client = new Centrifuge(address(node.url), {
    websocket: WebSocket,
    token: await signToken({ channels: { 'room:*': ['subscribe', 'history', 'presence'] } }),
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
