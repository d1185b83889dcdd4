import { STREAMS } from '@carillon/contracts'
import { type Connection, createWindowPublisher } from '@carillon/jetstream'
import { eventually, type NodeProcess, type TestScope, useNodeProcess } from '@carillon/testkit'
import { type LightClient, LightSse, LightWebSocket } from './light-clients.js'
import { personal, signToken, TOKEN_KEY } from './mesh.js'

const MAIN = new URL('../src/main.js', import.meta.url).pathname

interface Process {
  url: string
  process: NodeProcess
}

/** A realtime process of its own. */
export async function useProcess(t: TestScope, natsUrl: string, perUser: number): Promise<Process> {
  const process = await useNodeProcess(t, {
    script: MAIN,
    env: {
      NATS_URL: natsUrl,
      CARILLON_PORT: '0',
      CARILLON_TOKEN_KEY: TOKEN_KEY,
      CARILLON_REALTIME_CONNECTIONS_PER_USER: String(perUser),
      CARILLON_REALTIME_CONNECTS_PER_SECOND: '20000',
    },
    ready: /realtime\.listening/,
  })
  const line = await process.line(/realtime\.listening/)
  const { url } = JSON.parse(line) as { url: string }
  return { url, process }
}

interface Publishing {
  /** How many each user was sent. */
  readonly sent: ReadonlyMap<string, number>
  stop(): Promise<void>
}

/** Sends each user the next number, again and again, until it is stopped. */
export function publish(
  t: TestScope,
  connection: Connection,
  users: readonly string[],
  perSecond: number,
): Publishing {
  const publisher = createWindowPublisher(connection, { stream: STREAMS.live, giveUpMs: 60_000 })
  const sent = new Map(users.map((user) => [user, 0]))
  const under: Promise<unknown>[] = []
  const begun = performance.now()
  let count = 0
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - begun) / 1_000) * perSecond)
    for (; count < due; count++) {
      const user = users[count % users.length] as string
      const n = (sent.get(user) ?? 0) + 1
      sent.set(user, n)
      under.push(
        publisher.publish({ subject: personal(user), body: `{"n":${n}}`, messageId: `${user}-${n}` }),
      )
    }
  }, 10)
  const stop = async () => {
    clearInterval(timer)
    await Promise.all(under.splice(0))
  }
  t.teardown(async () => {
    await stop()
    await publisher[Symbol.asyncDispose]()
  })
  return { sent, stop }
}

/** Half of them EventSources, half clients of the client protocol. */
export async function startCrowd(
  t: TestScope,
  users: readonly string[],
  clients: { perUser: number; url: () => string; returnWithinMs: number },
): Promise<{ clients: LightClient[]; of: (client: LightClient) => string }> {
  const owners = new Map<LightClient, string>()
  for (const user of users) {
    const token = await signToken({ user })
    for (let n = 0; n < clients.perUser; n++) {
      const Kind = owners.size % 2 === 0 ? LightSse : LightWebSocket
      const client = new Kind(token, { ...clients, onReady: () => undefined })
      owners.set(client, user)
    }
  }
  const all = [...owners.keys()]
  t.teardown(() => {
    for (const client of all) client.stop()
  })
  // not all at once: what does not fit into the queue of the kernel tries again after longer and longer
  for (let index = 0; index < all.length; index += 500) {
    const batch = all.slice(index, index + 500)
    for (const client of batch) client.start()
    await eventually(() => batch.every(({ ready }) => ready), { timeoutMs: 60_000 })
  }
  return { clients: all, of: (client) => owners.get(client) as string }
}
