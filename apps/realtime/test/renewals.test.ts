import { eventually, type TestScope } from '@carillon/testkit'
import { Centrifuge, type DisconnectedContext } from 'centrifuge'
import t from 'tap'
import WebSocket from 'ws'
import { useForwarder } from './forwarder.js'
import { answerRules, PATIENT_MS, signToken, useLive, useNode } from './mesh.js'

/** Made when it is asked for, so that it lives as long as it says. */
type Token = () => Promise<string>

/** An official client that gets one token after the other, the last one for ever. */
function useClient(t: TestScope, url: string, tokens: Token[]) {
  const ends: DisconnectedContext[] = []
  const client = new Centrifuge(`${url.replace('http', 'ws')}/v1/connection/websocket`, {
    websocket: WebSocket,
    getToken: () => ((tokens.length > 1 ? tokens.shift() : tokens[0]) as Token)(),
    minReconnectDelay: 10,
    maxReconnectDelay: 50,
    timeout: PATIENT_MS,
  })
  t.teardown(() => client.disconnect())
  client.on('disconnected', (context) => ends.push(context))
  return { client, ends }
}

t.test('a client that subscribes before it is let in comes back when the mesh does', async (t) => {
  const { nats } = await useLive(t)
  const front = await useForwarder(t, nats.url)
  const node = await useNode(t, front.url.replace('http', 'nats'))
  const { client, ends } = useClient(t, node.url, [() => signToken({ rooms: ['a'] })])
  const subscription = client.newSubscription('room:a')
  const errors: number[] = []
  client.on('error', ({ error }) => errors.push(error.code))
  front.target = 'nats://127.0.0.1:1'
  front.cut()
  await eventually(async () => !(await node.health.report()).ok)
  subscription.subscribe()
  client.connect()
  await eventually(() => errors.length > 1 || ends.length > 0)
  front.target = nats.url
  await subscription.ready(PATIENT_MS)
  t.same(ends, [])
  t.ok(errors.every((code) => code === 100))
})

t.test('an expired token is replaced by the next one, when connecting and when it is renewed', async (t) => {
  const { nats, connection } = await useLive(t)
  await answerRules(t, connection, [])
  const node = await useNode(t, nats.url)
  const expired = () => signToken({ rooms: ['a'], expiresInSeconds: -5 })
  // clients renew it ten seconds before its end, at once
  const short = () => signToken({ rooms: ['a'], expiresInSeconds: 10 })
  const good = () => signToken({ rooms: ['a'] })
  const { client, ends } = useClient(t, node.url, [expired, short, expired, good])
  const subscription = client.newSubscription('room:a')
  const tokens: number[] = []
  client.on('connected', () => tokens.push(Date.now()))
  subscription.subscribe()
  client.connect()
  await subscription.ready(PATIENT_MS)
  await eventually(() => tokens.length === 2 || ends.length > 0)
  t.same(ends, [])
  await subscription.ready(PATIENT_MS)
})

t.test("a channel's expired token is replaced by the next one", async (t) => {
  const { nats, connection } = await useLive(t)
  await answerRules(t, connection, [])
  const node = await useNode(t, nats.url)
  const { client } = useClient(t, node.url, [() => signToken()])
  const channel = { channel: 'room:a', permissions: ['subscribe'] } satisfies Parameters<typeof signToken>[0]
  const lifetimes = [-5, 10, -5]
  const states: string[] = []
  const subscription = client.newSubscription('room:a', {
    getToken: () => signToken({ ...channel, expiresInSeconds: lifetimes.shift() ?? 600 }),
    minResubscribeDelay: 10,
    maxResubscribeDelay: 50,
  })
  for (const state of ['subscribed', 'unsubscribed'] as const)
    subscription.on(state, () => states.push(state))
  subscription.subscribe()
  client.connect()
  await subscription.ready(PATIENT_MS)
  await eventually(() => states.length === 2)
  t.same(states, ['subscribed', 'subscribed'])
})

t.test("who tries again as somebody else takes nobody else's place", async (t) => {
  const { nats } = await useLive(t)
  const front = await useForwarder(t, nats.url)
  const node = await useNode(t, front.url.replace('http', 'nats'), { maxConnectionsPerUser: 1 })
  const address = `${node.url.replace('http', 'ws')}/v1/connection/websocket`
  const open = async () => {
    const socket = new WebSocket(address)
    t.teardown(() => socket.terminate())
    const said: Record<string, unknown>[] = []
    socket.on('message', (data) => {
      for (const line of data.toString().split('\n')) said.push(JSON.parse(line))
    })
    socket.on('close', (code) => said.push({ code }))
    await new Promise((resolve) => socket.on('open', resolve))
    let id = 0
    const connect = async (user: string) => {
      socket.send(JSON.stringify({ id: ++id, connect: { token: await signToken({ user }) } }))
      await eventually(() => said.length >= id)
      return said[id - 1] as Record<string, unknown>
    }
    return { socket, connect }
  }
  front.target = 'nats://127.0.0.1:1'
  front.cut()
  await eventually(async () => !(await node.health.report()).ok)
  const first = await open()
  t.match(await first.connect('anna'), { error: { code: 100 } })
  front.target = nats.url
  await eventually(async () => (await node.health.report()).ok)
  t.match(await first.connect('ben'), { connect: {} })
  const second = await open()
  t.match(await second.connect('anna'), { connect: {} }, 'the place that was given up is free')
  const third = await open()
  t.same(await third.connect('ben'), { code: 3504 }, 'the other one is taken')
  first.socket.close()
  await eventually(async () => 'connect' in (await (await open()).connect('ben')))
})
