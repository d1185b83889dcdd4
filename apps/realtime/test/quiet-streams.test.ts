import { eventually } from '@carillon/testkit'
import { Centrifuge, type TransportEndpoint } from 'centrifuge'
import { Centrifuge as ProtobufCentrifuge } from 'centrifuge/build/protobuf'
import { EventSource } from 'eventsource'
import t from 'tap'
import { PATIENT_MS, signToken, useLive, useNode } from './mesh.js'

/** An answer must be there before the next ping: longer than a busy machine stands still. */
const HEARTBEAT_SECONDS = 5

t.test('a quiet client answers pings through another node', async (t) => {
  const { nats } = await useLive(t)
  const node = await useNode(t, nats.url, { heartbeatSeconds: HEARTBEAT_SECONDS })
  const other = await useNode(t, nats.url)
  const quiet = async (
    transport: 'http_stream' | 'sse',
    Client: typeof Centrifuge | typeof ProtobufCentrifuge,
  ) => {
    let answers = 0
    const endpoints: TransportEndpoint[] = [{ transport, endpoint: `${node.url}/v1/connection/${transport}` }]
    const client = new Client(endpoints, {
      token: await signToken(),
      emulationEndpoint: `${other.url}/v1/emulation`,
      eventsource: EventSource,
      fetch: (input: string, init: RequestInit) => {
        if (input.endsWith('/v1/emulation')) answers++
        return fetch(input, init)
      },
      timeout: PATIENT_MS,
    })
    t.teardown(() => client.disconnect())
    const left: number[] = []
    client.on('connecting', ({ code }) => left.push(code))
    client.connect()
    await client.ready(PATIENT_MS)
    await eventually(() => answers >= 4)
    const encoding = Client === Centrifuge ? 'JSON' : 'Protobuf'
    const name = `over ${transport} in ${encoding}`
    t.equal(client.state, 'connected', name)
    t.same(left, [0], `${name}: it never had to come back`)
  }
  await Promise.all([
    quiet('http_stream', Centrifuge),
    quiet('http_stream', ProtobufCentrifuge),
    quiet('sse', Centrifuge),
  ])
})
