import { setTimeout as sleep } from 'node:timers/promises'
import { CarillonClientError } from '@carillon/sdk'
import type { SimulatedMessage } from '@carillon/simulators'
import pc from 'picocolors'
import type { RunningMesh } from '../mesh/up.js'
import { CommandError } from '../terminal/failure.js'

/** Longest until what a step rings has rung. */
const RINGS_WITHIN_MS = 10_000

const PROVIDER_NAMES: Readonly<Record<string, string>> = {
  fcm: 'phone (FCM)',
  apns: 'iPhone (APNs)',
  webpush: 'laptop (Web Push)',
  smtp: 'mailbox',
  sms: 'phone (SMS)',
  webhook: 'webhook',
}

/** What the simulated providers have got since the last `clear`. */
export interface Heard {
  messages: SimulatedMessage[]
  clear(): void
}

export function hearRings(mesh: RunningMesh): Heard {
  const heard: Heard = {
    messages: [],
    clear() {
      heard.messages = []
    },
  }
  mesh.simulators.inbox.onMessage((message) => heard.messages.push(message))
  return heard
}

/** Waits until everything that the event made has ended, and says what rang where. */
export async function tellRings(
  mesh: RunningMesh,
  eventId: string,
  { heard, out }: { heard: Heard; out: { write(text: string): unknown } },
): Promise<void> {
  const began = performance.now()
  let seen: Consequences | undefined
  while (performance.now() - began < RINGS_WITHIN_MS) {
    seen = await consequences(mesh, eventId)
    if (seen !== undefined && seen.runs.length > 0 && (await allEnded(mesh, seen))) break
    await sleep(50)
  }
  for (const run of seen?.runs ?? []) {
    out.write(`    ${pc.dim(run.workflow)} → ${run.recipient} (${run.state})\n`)
    for (const message of heard.messages.filter((candidate) => candidate.nid === run.id)) {
      out.write(
        `      ${pc.green('rang')} ${(PROVIDER_NAMES[message.provider] ?? message.provider).padEnd(18)} ${message.title}${message.body === '' ? '' : pc.dim(` — ${message.body}`)}\n`,
      )
    }
  }
}

/** Why somebody heard of an event, in a sentence. */
export async function explainEvent(mesh: RunningMesh, eventId: string, recipient: string): Promise<string> {
  const found = await consequences(mesh, eventId)
  const run = found?.runs.find((candidate) => candidate.recipient === recipient) ?? found?.runs[0]
  if (run === undefined) throw new CommandError(`Nothing is known of the event ${eventId}.`)
  const { text } = await mesh.carillon.call<{ text: string }>('GET', `/v1/notifications/${run.id}/explain`)
  return text
}

interface Consequences {
  runs: { id: string; recipient: string; workflow: string; state: string }[]
}

const UNDER_WAY = new Set(['queued', 'sending'])

async function allEnded(mesh: RunningMesh, seen: Consequences): Promise<boolean> {
  for (const run of seen.runs) {
    const { deliveries } = await mesh.carillon.call<{ deliveries: { status: string }[] }>(
      'GET',
      `/v1/notifications/${run.id}/status`,
    )
    if (deliveries.some((delivery) => UNDER_WAY.has(delivery.status))) return false
  }
  return true
}

async function consequences(mesh: RunningMesh, eventId: string): Promise<Consequences | undefined> {
  const path = `/v1/events/${encodeURIComponent(eventId)}?source=${encodeURIComponent('/services/rides')}`
  try {
    return await mesh.carillon.call<Consequences>('GET', path)
  } catch (error) {
    // 202 means on disk; the dispatcher may still be about to write its rows
    if (error instanceof CarillonClientError && error.status === 404) return undefined
    throw error
  }
}
