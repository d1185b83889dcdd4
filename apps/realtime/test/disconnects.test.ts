import { eventually } from '@carillon/testkit'
import { Centrifuge } from 'centrifuge'
import { Centrifuge as ProtobufCentrifuge } from 'centrifuge/build/protobuf'
import fc from 'fast-check'
import t from 'tap'
import WebSocket from 'ws'
import { DISCONNECTS } from '../src/protocol/codes.js'
import { createWires } from '../src/protocol/wires.js'
import { useForwarder } from './forwarder.js'
import { createWriter, numberOf, PATIENT_MS, personal, range, signToken, useLive, useNode } from './mesh.js'

const path = '/v1/connection/websocket'
const address = (url: string) => `${url.replace('http', 'ws')}${path}`
const wires = createWires()

for (const [encoding, Client, wire] of [
  ['JSON', Centrifuge, wires.json.websocket],
  ['Protobuf', ProtobufCentrifuge, wires.protobuf.websocket],
] as const) {
  t.test(`the official client comes back from every code below 3500, in ${encoding}`, async (t) => {
    const { nats, connection } = await useLive(t)
    const node = await useNode(t, nats.url)
    const front = await useForwarder(t, node.url)
    const { write } = createWriter(t, connection)
    const client = new Client(address(front.url), {
      websocket: WebSocket,
      getToken: () => signToken(),
      minReconnectDelay: 5,
      maxReconnectDelay: 20,
      timeout: PATIENT_MS,
    })
    t.teardown(() => client.disconnect())
    const seen: number[] = []
    const read = (data: unknown) =>
      numberOf(data instanceof Uint8Array ? JSON.parse(Buffer.from(data).toString()) : data)
    client.on('publication', ({ data }) => seen.push(read(data)))
    let connects = 0
    client.on('connected', () => connects++)
    client.connect()
    await client.ready(PATIENT_MS)
    const passing = Object.values(DISCONNECTS).filter(({ code }) => code < 3_500)
    for (const [index, disconnect] of passing.entries()) {
      const before = connects
      front.sendToClients(wire.farewell(disconnect))
      // while it is away, and when it is back
      await write(personal(), [2 * index + 1])
      await eventually(() => connects > before)
      await write(personal(), [2 * index + 2])
      await eventually(() => seen.length === 2 * index + 2)
    }
    t.same(seen, range(1, 2 * passing.length), 'each frame once, in order')

    for (const disconnect of Object.values(DISCONNECTS).filter(({ code }) => code >= 3_500)) {
      const codes: number[] = []
      client.once('disconnected', ({ code }) => codes.push(code))
      front.sendToClients(wire.farewell(disconnect))
      await eventually(() => codes.length === 1)
      t.same(codes, [disconnect.code], 'stays away')
      client.connect()
      await client.ready(PATIENT_MS)
    }
  })
}

t.test('whatever bytes a client sends, the node answers or ends that one connection', async (t) => {
  const { nats } = await useLive(t)
  const node = await useNode(t, nats.url)
  const token = await signToken()
  const witness = new WebSocket(address(node.url))
  t.teardown(() => witness.terminate())
  const answers: string[] = []
  witness.on('message', (data) => {
    if (data.toString() === '{}') witness.send('{}')
    else answers.push(data.toString())
  })
  await new Promise((resolve) => witness.once('open', resolve))
  witness.send(JSON.stringify({ id: 1, connect: { token } }))
  await eventually(() => answers.length === 1)

  const command = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .record({
        id: fc.oneof(fc.nat(), fc.constant(-1), fc.constant('1')),
        method: fc.constantFrom('connect', 'subscribe', 'publish', 'history', 'presence', 'rpc', 'refresh'),
        params: fc.oneof(
          fc.jsonValue(),
          fc.record(
            {
              channel: fc.oneof(
                fc.string(),
                fc.constantFrom('user', 'room:a', 'latest:a', 'room:*', 'room:>'),
              ),
              token: fc.oneof(fc.string(), fc.constant(token)),
              data: fc.jsonValue(),
              offset: fc.double(),
              epoch: fc.string(),
              recover: fc.boolean(),
              limit: fc.integer(),
              method: fc.string(),
            },
            { requiredKeys: [] },
          ),
        ),
      })
      .map(({ id, method, params }) => JSON.stringify({ id, [method]: params })),
  )
  const outcome = (binary: boolean, messages: readonly (string | Uint8Array)[]) =>
    new Promise<string>((resolve, reject) => {
      const socket = new WebSocket(address(node.url), binary ? 'centrifuge-protobuf' : undefined)
      socket.on('open', () => {
        for (const message of messages) socket.send(message)
        // the last word: a connection that still stands takes it and ends by it
        socket.send(binary ? Buffer.from([0xff]) : '{')
      })
      socket.on('close', (code) => resolve(String(code)))
      socket.on('error', reject)
    })
  const ends = (code: string) => Number(code) >= 3_000 && Number(code) < 4_000
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 5 }), async (messages) => {
      const connect = JSON.stringify({ id: 1, connect: { token } })
      return ends(await outcome(false, [connect, ...messages]))
    }),
    { numRuns: 150 },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }), async (messages) =>
      ends(await outcome(true, messages)),
    ),
    { numRuns: 150 },
  )
  witness.send(JSON.stringify({ id: 2, ping: {} }))
  await eventually(() => answers.includes('{"id":2,"ping":{}}'))
  t.equal(witness.readyState, WebSocket.OPEN, 'nobody else noticed')
})
