import { type AuthoriseAnswer, authoriseSubject, type InboxQuestion } from '@carillon/contracts'
import { answerQuestions, type Connection } from '@carillon/jetstream'
import { eventually, type TestScope, useRedis } from '@carillon/testkit'
import { Centrifuge, type Options, type TransportEndpoint } from 'centrifuge'
import { Centrifuge as ProtobufCentrifuge } from 'centrifuge/build/protobuf'
import { EventSource } from 'eventsource'
import t from 'tap'
import WebSocket from 'ws'
import {
  answerRules,
  createWriter,
  numberOf,
  PATIENT_MS,
  personal,
  type RealtimeNode,
  signToken,
  type TokenClaims,
  useLive,
  useNode,
} from './mesh.js'

/** How an official client reaches a node. `other` is a node that holds none of its streams. */
interface Way {
  name: string
  /** In Protobuf a payload is bytes to the client's user too. */
  binary?: true
  make(
    endpoint: { node: RealtimeNode; other: RealtimeNode },
    options: Partial<Options>,
  ): Centrifuge | ProtobufCentrifuge
}

const endpoint = (transport: TransportEndpoint['transport'], url: string): TransportEndpoint[] => [
  { transport, endpoint: `${url}/v1/connection/${transport}` },
]
const overWebSocket = (url: string) => endpoint('websocket', url.replace('http', 'ws'))
const emulated = (other: RealtimeNode) => ({ emulationEndpoint: `${other.url}/v1/emulation` })

const WAYS: Way[] = [
  {
    name: 'WebSocket in JSON',
    make: ({ node }, options) =>
      new Centrifuge(overWebSocket(node.url), { ...options, websocket: WebSocket }),
  },
  {
    name: 'WebSocket in Protobuf',
    binary: true,
    make: ({ node }, options) =>
      new ProtobufCentrifuge(overWebSocket(node.url), { ...options, websocket: WebSocket }),
  },
  {
    name: 'HTTP stream in JSON, commands through another node',
    make: ({ node, other }, options) =>
      new Centrifuge(endpoint('http_stream', node.url), { ...options, ...emulated(other), fetch }),
  },
  {
    name: 'HTTP stream in Protobuf, commands through another node',
    binary: true,
    make: ({ node, other }, options) =>
      new ProtobufCentrifuge(endpoint('http_stream', node.url), { ...options, ...emulated(other), fetch }),
  },
  {
    name: 'SSE, commands through another node',
    make: ({ node, other }, options) =>
      new Centrifuge(endpoint('sse', node.url), {
        ...options,
        ...emulated(other),
        fetch,
        eventsource: EventSource,
      }),
  },
]

/** A room where Anna may speak, Ben may listen, and a service knows about a third. */
async function useRooms(t: TestScope): Promise<{
  connection: Connection
  node: RealtimeNode
  other: RealtimeNode
  asked: InboxQuestion[]
}> {
  const { nats, connection } = await useLive(t)
  const redis = await useRedis(t)
  const node = await useNode(t, nats.url, {}, redis.url)
  const other = await useNode(t, nats.url, {}, redis.url)
  await answerRules(t, connection, [
    {
      namespace: 'ride',
      authorise: true,
      schema: { type: 'object', required: ['text'], properties: { text: { type: 'string' } } },
    },
  ])
  const asked: InboxQuestion[] = []
  const inbox = answerQuestions(connection, 'ask.inbox.acme', { onFailure: fail }, (question) => {
    asked.push(question as InboxQuestion)
    return (question as InboxQuestion).method === 'inbox.unread'
      ? { ok: true, data: { unread: 7 } }
      : { ok: false, status: 404, code: 'NOT_FOUND', detail: 'There is no such notification.' }
  })
  const service = answerQuestions(
    connection,
    authoriseSubject('acme', 'ride'),
    { onFailure: fail },
    (question): AuthoriseAnswer => ({
      allow: (question as { user: string }).user === 'cleo',
      permissions: ['publish'],
      info: { role: 'guest' },
    }),
  )
  t.teardown(() => Promise.all([inbox.drain(), service.drain()]))
  await connection.flush()
  return { connection, node, other, asked }
}

function fail(error: unknown): never {
  throw error
}

function useClient(
  t: TestScope,
  way: Way,
  nodes: { node: RealtimeNode; other: RealtimeNode },
  claims: TokenClaims,
) {
  const client = way.make(nodes, {
    getToken: () => signToken(claims),
    minReconnectDelay: 10,
    maxReconnectDelay: 50,
    timeout: PATIENT_MS,
  })
  t.teardown(() => client.disconnect())
  return client
}

const pack = (way: Way, data: unknown): unknown => (way.binary ? Buffer.from(JSON.stringify(data)) : data)
const unpack = (way: Way, data: unknown): unknown =>
  way.binary ? JSON.parse(Buffer.from(data as Uint8Array).toString()) : data

for (const way of WAYS) {
  t.test(`an official client over ${way.name}`, async (t) => {
    const { connection, node, other, asked } = await useRooms(t)
    const { write } = createWriter(t, connection)
    const anna = useClient(t, way, { node, other }, { channels: { 'room:ride-*': ['subscribe', 'publish'] } })
    const own: number[] = []
    anna.on('publication', ({ channel, data }) => channel === 'user' && own.push(numberOf(unpack(way, data))))
    const errors: unknown[] = []
    anna.on('error', (context) => errors.push(context))
    anna.connect()
    await anna.ready(PATIENT_MS)

    await t.test('gets what is for its user', async (t) => {
      await write(personal(), [1, 2])
      await eventually(() => own.length === 2)
      t.same(own, [1, 2])
    })

    const room = anna.newSubscription('room:ride-9', { recoverable: true })
    const heard: { data: unknown; info?: unknown }[] = []
    room.on('publication', ({ data, info }) => heard.push({ data: unpack(way, data), info }))
    room.subscribe()
    await room.ready(PATIENT_MS)

    await t.test('speaks in a room, and everybody sees who it was', async (t) => {
      const ben = useClient(t, WAYS[0] as Way, { node: other, other }, { user: 'ben', rooms: ['ride-9'] })
      const listener = ben.newSubscription('room:ride-9')
      const seen: { data: unknown; user: string | undefined; tags?: unknown }[] = []
      listener.on('publication', ({ data, info }) => seen.push({ data, user: info?.user }))
      listener.subscribe()
      ben.connect()
      await listener.ready(PATIENT_MS)
      await room.publish(pack(way, { text: 'On my way – 5 min 🚕' }))
      await eventually(() => seen.length === 1 && heard.length === 1)
      t.same(seen, [{ data: { text: 'On my way – 5 min 🚕' }, user: 'anna' }])
      t.same(heard[0]?.data, seen[0]?.data, 'the speaker among them')
      await t.rejects(listener.publish({ text: 'me too' }), { code: 103 }, 'who may only listen is told so')
    })

    await t.test('sees who is in a room, who comes and who leaves', async (t) => {
      const moves: string[] = []
      const kitchen = anna.newSubscription('room:ride-kitchen', { joinLeave: true })
      kitchen.on('join', ({ info }) => moves.push(`+${info.user}`))
      kitchen.on('leave', ({ info }) => moves.push(`-${info.user}`))
      kitchen.subscribe()
      await kitchen.ready(PATIENT_MS)
      await node.flush()
      const ben = useClient(
        t,
        WAYS[1] as Way,
        { node: other, other },
        { user: 'ben', rooms: ['ride-kitchen'] },
      )
      const place = ben.newSubscription('room:ride-kitchen')
      place.subscribe()
      ben.connect()
      await place.ready(PATIENT_MS)
      await eventually(() => moves.includes('+ben'))
      const { clients } = await kitchen.presence()
      t.same(
        Object.values(clients)
          .map(({ user }) => user)
          .sort(),
        ['anna', 'ben'],
      )
      t.same(await kitchen.presenceStats(), { numClients: 2, numUsers: 2 })
      place.unsubscribe()
      await eventually(() => moves.includes('-ben'))
      t.same(Object.keys((await kitchen.presence()).clients).length, 1)
    })

    await t.test('is told what is wrong with what it says', async (t) => {
      await t.rejects(room.publish(pack(way, { text: 5 })), { code: 422, message: /text/ })
      await t.rejects(room.publish(pack(way, { text: 'x'.repeat(33_000) })), { code: 413 })
      await t.rejects(anna.publish('room:other', pack(way, { text: 'x' })), { code: 103 })
    })

    await t.test('reads what was said', async (t) => {
      const { publications, offset } = await room.history({ limit: 10 })
      t.same(
        publications.map(({ data, info }) => [unpack(way, data), info?.user]),
        [[{ text: 'On my way – 5 min 🚕' }, 'anna']],
      )
      t.ok(offset > 0)
    })

    await t.test('works on its inbox', async (t) => {
      t.same(unpack(way, (await anna.rpc('inbox.unread', pack(way, {}))).data), { unread: 7 })
      await t.rejects(anna.rpc('inbox.read', pack(way, { ids: ['x'] })), {
        code: 404,
        message: 'There is no such notification.',
      })
      await t.rejects(anna.rpc('format.disk', pack(way, {})), { code: 104 })
      t.match(asked, [
        { method: 'inbox.unread', params: {}, user: { externalId: 'anna' } },
        { method: 'inbox.read', params: { ids: ['x'] } },
      ])
    })

    await t.test('hears positions, the newest of each key', async (t) => {
      const cab = useClient(
        t,
        way,
        { node, other },
        {
          user: 'dana',
          channels: { 'latest:cab-7': ['subscribe', 'publish'] },
        },
      )
      cab.connect()
      await cab.publish('latest:cab-7', pack(way, { lat: 48.1, lon: 11.5 }))
      const watcher = useClient(
        t,
        way,
        { node, other },
        {
          user: 'eva',
          channels: { 'latest:cab-7': ['subscribe'] },
        },
      )
      const positions: unknown[] = []
      const subscription = watcher.newSubscription('latest:cab-7')
      subscription.on('publication', ({ data }) => positions.push(unpack(way, data)))
      subscription.subscribe()
      watcher.connect()
      await subscription.ready(PATIENT_MS)
      await cab.publish('latest:cab-7', pack(way, { lat: 48.2, lon: 11.6 }))
      await eventually(() => positions.length > 0)
      t.same(positions.at(-1), { lat: 48.2, lon: 11.6 })
    })

    await t.test('is let in by a token for the room, or by the service that knows', async (t) => {
      const cleo = useClient(t, way, { node, other }, { user: 'cleo' })
      const byService = cleo.newSubscription('room:ride-10')
      byService.subscribe()
      cleo.connect()
      await byService.ready(PATIENT_MS)
      await byService.publish(pack(way, { text: 'let in by the service' }))

      const dora = useClient(t, way, { node, other }, { user: 'dora' })
      const refused = dora.newSubscription('room:ride-10')
      const code = new Promise((resolve) => refused.on('unsubscribed', (context) => resolve(context.code)))
      refused.subscribe()
      dora.connect()
      t.equal(await code, 103, 'the service does not know her')
      const byToken = dora.newSubscription('room:ride-11', {
        getToken: ({ channel }) =>
          signToken({ user: 'dora', channel, permissions: ['subscribe', 'publish'] }),
      })
      byToken.subscribe()
      await byToken.ready(PATIENT_MS)
      await byToken.publish(pack(way, { text: 'let in by the token' }))
      const stolen = dora.newSubscription('room:ride-12', {
        token: await signToken({ user: 'somebody', channel: 'room:ride-12', permissions: ['subscribe'] }),
      })
      const stolenCode = new Promise((resolve) => stolen.on('unsubscribed', ({ code }) => resolve(code)))
      stolen.subscribe()
      t.equal(await stolenCode, 103, 'a token for somebody else lets nobody in')
    })

    await t.test('stays away when its token is refused', async (t) => {
      let tries = 0
      const nobody = way.make(
        { node, other },
        {
          getToken: () => {
            tries++
            return signToken({ audience: 'another service' })
          },
          minReconnectDelay: 1,
          maxReconnectDelay: 5,
          timeout: PATIENT_MS,
        },
      )
      t.teardown(() => nobody.disconnect())
      const ended = new Promise((resolve) => nobody.on('disconnected', ({ code }) => resolve(code)))
      nobody.connect()
      t.equal(await ended, 3500)
      t.equal(tries, 1)
    })

    await t.test('gets what it missed after a cut', async (t) => {
      const states: string[] = []
      room.on('subscribed', ({ wasRecovering, recovered }) => states.push(`${wasRecovering} ${recovered}`))
      anna.disconnect()
      await write(personal(), [3])
      const ben = useClient(
        t,
        WAYS[0] as Way,
        { node: other, other },
        {
          user: 'ben',
          channels: { 'room:ride-9': ['publish'] },
        },
      )
      ben.connect()
      await ben.publish('room:ride-9', { text: 'are you there?' })
      anna.connect()
      await eventually(() => own.length === 3 && heard.length === 2)
      t.same(own, [1, 2, 3])
      t.same(heard.at(-1)?.data, { text: 'are you there?' })
      t.same(states, ['true true'])
    })
    t.same(errors, [])
  })
}
