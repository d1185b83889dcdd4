import { eventually } from '@carillon/testkit'
import t from 'tap'
import { publish, startCrowd, useProcess } from './crowd.js'
import { useLive } from './mesh.js'

t.test(
  'a node that is emptied lets two thousand clients go and ends, and none misses anything',
  async (t) => {
    const { nats, connection } = await useLive(t)
    const users = Array.from({ length: 200 }, (_, n) => `user-${n}`)
    const first = await useProcess(t, nats.url, 20)
    const second = await useProcess(t, nats.url, 20)
    let url = first.url
    const { clients, of } = await startCrowd(t, users, { perUser: 10, url: () => url, returnWithinMs: 4_000 })
    const publishing = publish(t, connection, users, 200)
    await eventually(() => clients.every(({ last }) => last > 0), { timeoutMs: 60_000 })
    url = second.url
    const begun = performance.now()
    await first.process.stop()
    const goneMs = Math.round(performance.now() - begun)
    const backAt = await eventually(
      () => clients.every(({ connections, ready }) => ready && connections >= 2) && performance.now() - begun,
      { timeoutMs: 60_000 },
    )
    await publishing.stop()
    await eventually(() => clients.every((client) => client.last === publishing.sent.get(of(client))), {
      timeoutMs: 60_000,
    })
    t.ok(goneMs < 20_000, `the process ended after ${goneMs} ms`)
    t.same(
      clients.flatMap(({ wrong, resets }) => [...wrong, ...resets]),
      [],
      'nothing lost, nothing doubled, nobody began again',
    )
    t.comment(`${clients.length} clients let go in ${goneMs} ms, back after ${Math.round(backAt)} ms`)
  },
)
