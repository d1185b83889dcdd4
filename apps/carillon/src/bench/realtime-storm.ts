import { randomUUID } from 'node:crypto'
import { frameSubject, userId } from '@carillon/contracts'
import { sha256 } from '@carillon/service'
import type { Contestant, Mesh } from './realtime-contestants.js'
import { roomChannel, TENANT, userOf } from './realtime-dialects.js'
import { startLoad } from './realtime-load.js'
import { quantile, row } from './realtime-rows.js'
import type { BenchRow } from './rows.js'

/** Messages to the room, and how many to each person: a third before the drop, a third while they are away, and after. */
const ROOM_MESSAGES = 9
const OWN_MESSAGES = 3
const GOAL_MS = 5_000

/**
 * Every client is cut off at the same moment while messages go on, comes back as the official client does, and then
 * has had each message once, in order.
 */
export async function benchStorm(server: Contestant, mesh: Mesh, clients: number): Promise<BenchRow[]> {
  await using load = await startLoad(server, { count: clients, inRoom: true, keep: 'journal' })
  const subjects = Array.from({ length: clients }, (_, index) =>
    frameSubject(TENANT, 'user', userId(sha256, TENANT, userOf(index))),
  )
  const own = (n: number) =>
    publishAll(
      mesh,
      subjects.map((subject) => ({ subject, n })),
    )
  const room = async (from: number) => {
    const subject = frameSubject(TENANT, 'room', server.room)
    const third = ROOM_MESSAGES / 3
    await publishAll(
      mesh,
      Array.from({ length: third }, (_, index) => ({ subject, n: from * third + index + 1 })),
    )
  }
  await own(1)
  await room(0)
  await load.untilEach((OWN_MESSAGES + ROOM_MESSAGES) / 3)
  const before = await server.cpuMicros()
  const dropping = load.drop()
  await own(2)
  await room(1)
  const { ms, tookMs, refused } = await dropping
  const cpu = ((await server.cpuMicros()) - before) / clients
  await own(3)
  await room(2)
  const verdict = await load.judge({ user: OWN_MESSAGES, [roomChannel(server.room)]: ROOM_MESSAGES })
  const { lost, doubled, disordered, resets } = verdict
  const back = tookMs.length
  const faults = clients - back + lost + doubled + disordered + resets
  const at = (share: number) => Math.round(quantile(tookMs, share)).toLocaleString('en')
  return [
    row({
      name: `${server.name}, ${clients.toLocaleString('en')} dropped, ${back.toLocaleString('en')} back (p50 ${at(0.5)}, p99 ${at(0.99)} ms; ${refused} asked to come later)`,
      value: back === clients ? ms / 1_000 : Number.POSITIVE_INFINITY,
      unit: 's',
      cpuMicrosPerUnit: cpu,
      goal: `≤ ${GOAL_MS / 1_000} s`,
      met: back === clients && ms <= GOAL_MS,
    }),
    row({
      name: `  lost ${lost}, doubled ${doubled}, out of order ${disordered}, reset ${resets}`,
      value: faults,
      unit: 'faults',
      goal: '0',
      met: faults === 0,
    }),
  ]
}

async function publishAll(mesh: Mesh, messages: readonly { subject: string; n: number }[]): Promise<void> {
  await Promise.all(
    messages.map(({ subject, n }) =>
      mesh.publisher.publish({ subject, body: JSON.stringify({ n }), messageId: randomUUID() }),
    ),
  )
}
