import { eventually } from '@carillon/testkit'
import t from 'tap'
import { publish, startCrowd, useProcess } from './crowd.js'
import { useLive } from './mesh.js'

t.test('five thousand clients of a node that is killed are all back on the other, whole', async (t) => {
  const { nats, connection } = await useLive(t)
  const users = Array.from({ length: 2_500 }, (_, n) => `user-${n}`)
  const first = await useProcess(t, nats.url, 10)
  const second = await useProcess(t, nats.url, 10)
  let url = first.url
  const { clients, of } = await startCrowd(t, users, { perUser: 2, url: () => url, returnWithinMs: 1_000 })
  const publishing = publish(t, connection, users, 500)
  await eventually(() => clients.every(({ last }) => last > 0), { timeoutMs: 60_000 })
  url = second.url
  const begun = performance.now()
  await first.process.kill('SIGKILL')
  await eventually(() => clients.every(({ connections, ready }) => ready && connections >= 2), {
    timeoutMs: 60_000,
  })
  const backMs = Math.round(performance.now() - begun)
  await publishing.stop()
  await eventually(() => clients.every((client) => client.last === publishing.sent.get(of(client))), {
    timeoutMs: 60_000,
  })
  t.same(
    clients.flatMap(({ wrong }) => wrong),
    [],
    'nothing lost, nothing doubled',
  )
  t.same(
    clients.flatMap(({ resets }) => resets),
    [],
    'and nobody had to begin again',
  )
  t.comment(`${clients.length} clients back in ${backMs} ms`)
})
