import { randomBytes, randomUUID } from 'node:crypto'
import { frameSubject } from '@carillon/contracts'
import { EngineFailed, EngineUnavailable } from '@carillon/engines'
import type { WindowPublisher } from '@carillon/jetstream'
import { startChild } from './push-child.js'
import type { Memory } from './realtime-cost.js'
import { type DialectName, TENANT } from './realtime-dialects.js'
import { ROOM, startNchan } from './realtime-nchan.js'
import type { PeerName } from './realtime-peer-names.js'
import type { PeerQuestion } from './realtime-peers.js'
import type { ServerQuestion } from './realtime-server.js'

/** A server that is measured, in a process of its own. */
export interface Contestant extends AsyncDisposable {
  name: string
  dialect: DialectName
  port: number
  tokenKey: string
  /** Of this server alone: others may stand on the same mesh. */
  room: string
  /** In the room, its clients have their own channels besides. */
  own?: boolean
  /** Gives the messages, JSON texts, to everybody in the room; together. */
  say(texts: readonly string[]): Promise<void>
  cpuMicros(): Promise<number>
  memory(): Promise<Memory>
}

export type Transport = 'websocket' | 'sse'

/** What a node of ours stands on. `publisher` stores in LIVE. */
export interface Mesh {
  natsUrl: string
  publisher: WindowPublisher
}

/** A node admits as many as come, and pings nobody while the others aren't pinged either. */
const UNHINDERED = { connectsPerSecond: 100_000, heartbeatSeconds: 120 }

/** A realtime node; messages to it go through LIVE. */
export async function startOurs(
  transport: Transport,
  mesh: Mesh,
  overrides: Extract<ServerQuestion, { ask: 'start' }>['config'] = UNHINDERED,
): Promise<Contestant> {
  const child = startChild('realtime-server')
  const tokenKey = randomBytes(32).toString('base64url')
  const { port } = await child.ask<{ port: number }>({
    ask: 'start',
    natsUrl: mesh.natsUrl,
    config: { tokenKey, ...overrides },
  } satisfies ServerQuestion)
  const room = `fan-${randomUUID()}`
  const subject = frameSubject(TENANT, 'room', room)
  return {
    name: `carillon ${transport}`,
    dialect: `carillon-${transport}`,
    port,
    tokenKey,
    room,
    async say(texts) {
      await Promise.all(
        texts.map((body) => mesh.publisher.publish({ subject, body, messageId: randomUUID() })),
      )
    },
    ...measured(child),
  }
}

/** A server in Node that is none of ours. */
export async function startPeer(peer: PeerName): Promise<Contestant> {
  const child = startChild('realtime-peers')
  const { port } = await child.ask<{ port: number }>({ ask: 'start', peer } satisfies PeerQuestion)
  return {
    name: peer,
    dialect: peer === 'ws' ? 'websocket' : 'socket.io',
    port,
    tokenKey: '',
    room: ROOM,
    say: async (texts) => void (await child.ask({ ask: 'say', texts } satisfies PeerQuestion)),
    ...measured(child),
  }
}

/** nchan for each transport, or why there is none. */
export async function startNchans(transports: readonly Transport[]): Promise<Contestant[] | string> {
  const started: Contestant[] = []
  try {
    for (const transport of transports) {
      const nchan = await startNchan()
      const close = () => nchan[Symbol.asyncDispose]()
      started.push({
        ...nchan,
        name: `nchan ${transport}`,
        dialect: `nchan-${transport}`,
        tokenKey: '',
        room: ROOM,
        [Symbol.asyncDispose]: close,
      })
    }
    return started
  } catch (error) {
    for (const nchan of started) await nchan[Symbol.asyncDispose]()
    if (error instanceof EngineUnavailable || error instanceof EngineFailed) return error.message
    throw error
  }
}

function measured(child: ReturnType<typeof startChild>) {
  return {
    cpuMicros: async () => (await child.ask<{ cpuMicros: number }>({ ask: 'cpu' })).cpuMicros,
    memory: () => child.ask<Memory>({ ask: 'memory' }),
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  }
}
