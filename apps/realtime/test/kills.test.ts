import { connect, createServer, type Socket } from 'node:net'
import { eventually, type TestScope } from '@carillon/testkit'
import t from 'tap'
import { publish, startCrowd, useProcess } from './crowd.js'
import { useLive } from './mesh.js'

const KILLS = 50

/** A front that cuts all connections when it is told, in the middle of whatever passes. */
async function useGuillotine(t: TestScope, target: string): Promise<{ url: string; cut(): number }> {
  const pairs = new Set<Socket>()
  const server = createServer((incoming) => {
    const outgoing = connect({ host: '127.0.0.1', port: Number(new URL(target).port), noDelay: true })
    pairs.add(incoming)
    for (const [socket, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      socket.on('data', (chunk) => other.write(chunk))
      socket.on('error', () => undefined)
      socket.on('close', () => {
        pairs.delete(incoming)
        other.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, resolve))
  const cut = () => {
    const cutting = [...pairs]
    for (const socket of cutting) socket.resetAndDestroy()
    return cutting.length
  }
  t.teardown(async () => {
    cut()
    await new Promise((resolve) => server.close(resolve))
  })
  return { url: `http://127.0.0.1:${(server.address() as { port: number }).port}`, cut }
}

t.test(
  'a thousand clients, each cut fifty times while frames come, see each once and in order',
  async (t) => {
    const { nats, connection } = await useLive(t)
    const users = Array.from({ length: 50 }, (_, n) => `user-${n}`)
    const { url } = await useProcess(t, nats.url, 100)
    const front = await useGuillotine(t, url)
    const { clients, of } = await startCrowd(t, users, {
      perUser: 20,
      url: () => front.url,
      returnWithinMs: 50,
    })
    const publishing = publish(t, connection, users, 100)
    const begun = performance.now()
    let cut = 0
    for (let round = 1; round <= KILLS; round++) {
      cut += front.cut()
      await eventually(() => clients.every(({ connections, ready }) => ready && connections > round), {
        timeoutMs: 60_000,
      })
    }
    const tookMs = performance.now() - begun
    await publishing.stop()
    await eventually(() => clients.every((client) => client.last === publishing.sent.get(of(client))), {
      timeoutMs: 60_000,
    })
    t.ok(cut >= clients.length * KILLS, `${cut} connections were cut in ${Math.round(tookMs / 100) / 10} s`)
    t.same(
      clients.flatMap(({ wrong }) => wrong),
      [],
      'no gap, nothing twice, nothing out of order',
    )
    t.same(
      clients.flatMap(({ resets }) => resets),
      [],
      'and nobody had to begin again',
    )
    const frames = clients.reduce((sum, { last }) => sum + last, 0)
    t.comment(`${frames} frames to ${clients.length} clients, ${KILLS} cuts each: ${Math.round(tookMs)} ms`)
  },
)
