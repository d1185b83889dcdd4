import { eventually } from '@carillon/testkit'
import { Centrifuge, type TransportEndpoint } from 'centrifuge'
import { Centrifuge as ProtobufCentrifuge } from 'centrifuge/build/protobuf'
import { EventSource } from 'eventsource'
import t from 'tap'
import { signToken, useLive, useNode } from './mesh.js'

for (const [transport, Client] of [
  ['http_stream', Centrifuge],
  ['http_stream', ProtobufCentrifuge],
  ['sse', Centrifuge],
] as const) {
  const encoding = Client === Centrifuge ? 'JSON' : 'Protobuf'
  t.test(`over ${transport} in ${encoding} a quiet client answers pings through another node`, async (t) => {
    const { nats } = await useLive(t)
    const node = await useNode(t, nats.url, { heartbeatSeconds: 1 })
    const other = await useNode(t, nats.url)
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
    })
    t.teardown(() => client.disconnect())
    const left: number[] = []
    client.on('connecting', ({ code }) => left.push(code))
    client.connect()
    await client.ready(5_000)
    await eventually(() => answers >= 4)
    t.equal(client.state, 'connected')
    t.same(left, [0], 'it never had to come back')
  })
}
