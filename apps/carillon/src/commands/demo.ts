import { setTimeout as sleep } from 'node:timers/promises'
import type { Ride } from '@carillon/rides'
import { CarillonClientError } from '@carillon/sdk'
import type { SimulatedMessage } from '@carillon/simulators'
import pc from 'picocolors'
import type { CommandContext } from '../cli.js'
import { type RunningMesh, startMesh } from '../mesh/up.js'
import { CommandError, EXIT } from '../terminal/failure.js'
import { createProgress } from '../terminal/progress.js'

/** How long people have to look at each step. */
const STEP_MS = 2_500
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

/** `carillon demo`: one ride through the rides service, told step by step. */
export async function demo(args: { fast?: boolean }, context: CommandContext): Promise<number> {
  const out = process.stdout
  await using mesh = await startMesh({
    ...context,
    progress: createProgress(out),
    workflows: {
      pushed: () => undefined,
      refused: (file, problem) => out.write(`  ${pc.red('✗')} ${file}: ${problem}\n`),
    },
  })
  out.write(`\n  Ada takes a ride with Mira. Watch it at ${pc.cyan(mesh.url)}\n`)
  const heard = listen(mesh)
  const call = rides(mesh)
  const pause = () => sleep(args.fast === true ? 0 : STEP_MS)
  const told = async (title: string, step: () => Promise<Ride>): Promise<Ride> => {
    out.write(`\n  ${pc.bold(title)}\n`)
    heard.clear()
    const ride = await step()
    await tellRings(mesh, `${ride.id}.${ride.state}`, heard, out)
    await pause()
    return ride
  }
  const ride = await told('Ada asks for a ride', () =>
    call('/rides', {
      customerId: 'ada',
      customer: 'Ada',
      from: 'Karlsplatz',
      to: 'Prater',
      city: 'vienna',
      minutes: 4,
      amountCents: 1_450,
      currency: 'EUR',
    }),
  )
  await told('Mira accepts', () =>
    call(`/rides/${ride.id}/accept`, { id: 'mira', name: 'Mira', car: 'blue Ioniq, W-4711' }),
  )
  await told('Mira arrives', () => call(`/rides/${ride.id}/arrive`))
  await told('The ride is complete', () => call(`/rides/${ride.id}/complete`))
  await told('Ada pays', () => call(`/rides/${ride.id}/pay`))
  out.write(`\n  ${pc.bold('Why did Ada hear that Mira accepted?')}\n`)
  out.write(`  ${await explainEvent(mesh, `${ride.id}.accepted`)}\n\n`)
  return EXIT.ok
}

function rides(mesh: RunningMesh) {
  return async (path: string, body?: unknown): Promise<Ride> => {
    const answer = await fetch(`${mesh.url}${path}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${mesh.keys.ridesToken}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (!answer.ok)
      throw new CommandError(`The rides service answers ${answer.status}: ${await answer.text()}`)
    return (await answer.json()) as Ride
  }
}

interface Heard {
  messages: SimulatedMessage[]
  clear(): void
}

function listen(mesh: RunningMesh): Heard {
  const heard: Heard = {
    messages: [],
    clear() {
      heard.messages = []
    },
  }
  mesh.simulators.inbox.onMessage((message) => heard.messages.push(message))
  return heard
}

interface Consequences {
  runs: { id: string; recipient: string; workflow: string; state: string }[]
}

const UNDER_WAY = new Set(['queued', 'sending'])

/** Waits until everything that the event made has ended, and says what rang where. */
async function tellRings(
  mesh: RunningMesh,
  eventId: string,
  heard: Heard,
  out: { write(text: string): unknown },
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

async function explainEvent(mesh: RunningMesh, eventId: string): Promise<string> {
  const found = await consequences(mesh, eventId)
  const run = found?.runs.find((candidate) => candidate.recipient === 'ada') ?? found?.runs[0]
  if (run === undefined) throw new CommandError(`Nothing is known of the event ${eventId}.`)
  const { text } = await mesh.carillon.call<{ text: string }>('GET', `/v1/notifications/${run.id}/explain`)
  return text
}
