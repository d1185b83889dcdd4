import { authoriseSubject } from '@carillon/contracts'
import { answerQuestions } from '@carillon/jetstream'
import { eventually, useRedis } from '@carillon/testkit'
import fc from 'fast-check'
import t from 'tap'
import WebSocket from 'ws'
import { answerRules, createWriter, room, signToken, useLive, useNode } from './mesh.js'

const CLIENTS = 80
const STEPS = 25
/** The place of a connection that was lost waits this long for its owner. */
const GRACE_MS = 15_000
const CHANNELS = ['room:a', 'room:b', 'room:asked-1', 'room:asked-2', 'latest:a', 'latest:asked-3']

t.test('whatever clients do, and whenever they go, nothing of them is left', async (t) => {
  const { nats, connection } = await useLive(t)
  const redis = await useRedis(t)
  const node = await useNode(t, nats.url, { lingerSeconds: 1, maxConnectionsPerUser: 100 }, redis.url)
  await answerRules(t, connection, [{ namespace: 'asked', authorise: true }])
  const pause = () => new Promise((resolve) => setTimeout(resolve, Math.random() * 10))
  const service = answerQuestions(
    connection,
    authoriseSubject('acme', 'asked'),
    { onFailure: (error) => t.error(error) },
    async () => {
      await pause()
      return { allow: Math.random() < 0.8, expiresInSeconds: 0.3, permissions: ['publish'] }
    },
  )
  t.teardown(() => service.drain())
  const { write } = createWriter(t, connection)
  const tokens = await Promise.all([['a'], ['a', 'b'], ['b']].map((rooms) => signToken({ rooms })))
  const own = await signToken({ channel: 'room:asked-1', permissions: ['subscribe'], expiresInSeconds: 2 })
  const channel = fc.constantFrom(...CHANNELS)
  const step = fc.oneof(
    fc.record({
      subscribe: fc.record({ channel, join_leave: fc.boolean(), token: fc.constantFrom('', '', own) }),
    }),
    fc.record({ unsubscribe: fc.record({ channel }) }),
    fc.record({ publish: fc.record({ channel, data: fc.constant({}) }) }),
    fc.record({ refresh: fc.record({ token: fc.constantFrom(...tokens) }) }),
    fc.record({ presence: fc.record({ channel }) }),
    fc.constant({ send: {} }),
    fc.constantFrom('wait', 'wait', 'close', 'terminate'),
  )
  const address = `${node.url.replace('http', 'ws')}/v1/connection/websocket`
  const subscriptions = async () => {
    const response = await fetch(`${nats.monitorUrl}/subsz`)
    return ((await response.json()) as { num_subscriptions: number }).num_subscriptions
  }
  const client = async (steps: readonly (object | string)[]) => {
    const socket = new WebSocket(address)
    socket.on('error', () => undefined)
    const closed = new Promise((resolve) => socket.once('close', resolve))
    await new Promise((resolve) => socket.once('open', resolve))
    let id = 1
    socket.send(JSON.stringify({ id, connect: { token: tokens[1] } }))
    for (const each of steps) {
      if (each === 'wait') await pause()
      else if (each === 'close') socket.close()
      else if (each === 'terminate') socket.terminate()
      else socket.send(JSON.stringify({ id: ++id, ...(each as object) }), () => undefined)
      if (socket.readyState !== WebSocket.OPEN) break
    }
    if (Math.random() < 0.5) socket.terminate()
    else socket.close()
    await closed
  }
  await Promise.all([connection.flush(), node.flush()])
  const before = await subscriptions()
  const scripts = fc.sample(fc.array(step, { minLength: 3, maxLength: STEPS }), { numRuns: CLIENTS * 5 })
  for (let begin = 0; begin < scripts.length; begin += CLIENTS) {
    const running = scripts.slice(begin, begin + CLIENTS).map(client)
    await write(room('a'), [begin])
    await Promise.all(running)
  }
  const gauge = async (name: string) => {
    const lines = (await node.metrics.render()).split('\n').filter((line) => line.startsWith(name))
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  }
  for (const name of ['realtime_connections', 'realtime_channels'])
    await eventually(async () => (await gauge(name)) === 0)
  await eventually(async () => (await gauge('realtime_places')) === 0, { timeoutMs: GRACE_MS + 40_000 })
  await eventually(async () => (await subscriptions()) === before)
  t.equal(await gauge('realtime_presence_failures_total'), 0)
  const again = Array.from({ length: 100 }, async () => {
    const socket = new WebSocket(address)
    t.teardown(() => socket.terminate())
    await new Promise((resolve) => socket.once('open', resolve))
    socket.send(JSON.stringify({ id: 1, connect: { token: tokens[1] } }))
    return new Promise<string>((resolve) => socket.once('message', (data) => resolve(data.toString())))
  })
  const refused = (await Promise.all(again)).filter((reply) => !reply.includes('"connect"'))
  t.same(refused, [], 'the user has all places again')
})
