import { openDatabase } from '@carillon/postgres'
import { DEMO_USER } from '../mesh/demo-people.js'
import type { RunningMesh } from '../mesh/up.js'
import { listenSse } from './listen-sse.js'
import { listenWebSocket } from './listen-websocket.js'

/** Every bell of one ring, in the order in which they are told. */
export const BELLS = [
  'inbox',
  'sse',
  'websocket',
  'fcm',
  'apns',
  'webpush',
  'email',
  'sms',
  'webhook',
  'history',
  'audit',
] as const
export type Bell = (typeof BELLS)[number]

export interface RungBell {
  bell: Bell
  /** Milliseconds from the ring. Undefined: it did not ring in time. */
  ms: number | undefined
}

const SIMULATED: Readonly<Record<string, Bell>> = {
  fcm: 'fcm',
  apns: 'apns',
  webpush: 'webpush',
  smtp: 'email',
  sms: 'sms',
  webhook: 'webhook',
}
const LOOK_EVERY_MS = 25

/** Rings once and waits until every bell has rung, or until the time is over. */
export async function ringEveryBell(mesh: RunningMesh, timeoutMs: number): Promise<RungBell[]> {
  const { token } = await mesh.carillon.userToken(DEMO_USER)
  const rung = new Map<Bell, number>()
  let began = 0
  const hear = (bell: Bell) => {
    if (began > 0 && !rung.has(bell)) rung.set(bell, Math.round(performance.now() - began))
  }
  const sse = await listenSse(mesh.url, token, () => hear('sse'))
  const socket = await listenWebSocket(mesh.url, token, () => hear('websocket'))
  const stopHearing = mesh.simulators.inbox.onMessage((message) => {
    const bell = SIMULATED[message.provider]
    if (bell !== undefined) hear(bell)
  })
  await using database = openDatabase({
    url: mesh.engines.ownerUrl,
    max: 1,
    applicationName: 'carillon-ring',
  })
  try {
    began = performance.now()
    const { eventId } = await mesh.ring()
    const deadline = began + timeoutMs
    while (rung.size < BELLS.length && performance.now() < deadline) {
      const state = await database.inTenant(
        mesh.tenant,
        async (tx) => (await tx.query<Seen>(look(mesh.tenant, eventId))).rows[0],
      )
      if (state?.inbox === true) hear('inbox')
      if (state?.history === true) hear('history')
      if (state?.audit === true) hear('audit')
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
    }
  } finally {
    stopHearing()
    sse.close()
    socket.close()
  }
  return BELLS.map((bell) => ({ bell, ms: rung.get(bell) }))
}

interface Seen {
  inbox: boolean
  history: boolean
  audit: boolean
}

/** In the inbox; every delivery has its receipt in the history; the action stands in the audit trail. */
function look(tenant: string, eventId: string) {
  return {
    text: `WITH run AS (SELECT r.id, r.in_inbox FROM runs r JOIN events e ON e.id = r.event_id WHERE e.tenant_id = $1 AND e.event_id = $2)
      SELECT EXISTS (SELECT FROM run WHERE in_inbox) AS inbox,
        (SELECT count(*) > 0 AND count(*) = count(c.delivery_id) FROM run JOIN deliveries d ON d.run_id = run.id
          LEFT JOIN receipts c ON c.run_id = d.run_id AND c.delivery_id = d.id AND c.status = 'accepted') AS history,
        EXISTS (SELECT FROM audit WHERE tenant_id = $1 AND fact LIKE '%' || $2 || '%') AS audit`,
    values: [tenant, eventId],
  }
}
