import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { faultOutcome } from './fault-outcome.js'
import { createFaults, type Faults } from './faults.js'
import { type HttpsServer, type Outcome, type SimulatorRequest, startHttpsServer } from './https-server.js'
import { type Arriving, fromData, parseRecord, record } from './inbox.js'
import type { ProviderParts } from './provider-parts.js'
import {
  type ArrivalTotals,
  createReceivers,
  type Receivers,
  receive,
  type SavedReceiver,
  saveReceiver,
} from './receiver.js'

export interface WebhookSimulator extends AsyncDisposable {
  readonly port: number
  readonly url: string
  readonly server: HttpsServer
  /** Matched against the path. */
  readonly faults: Faults
  readonly counters: ArrivalTotals & { calls: number; accepted: number; refused: number }
  /** The secret that signatures are checked with. */
  readonly secret: string
  /** The `webhook-id`s that arrived, in order, with repetitions: all of them up to 100 000, then the newest. */
  readonly ids: string[]
  /** What each path got. */
  readonly paths: Receivers
  /** Counters begin anew, ids and paths are forgotten. */
  reset(): void
  save(): SavedWebhook
}

export interface SavedWebhook {
  port: number
  secret: string
  ids: string[]
  counters: WebhookSimulator['counters']
  paths: [path: string, receiver: SavedReceiver][]
}

const MAX_IDS = 100_000

const TOLERANCE_SECONDS = 300

/** A receiver of webhooks that checks Standard Webhooks signatures as a careful customer would. */
export async function startWebhook(parts: ProviderParts, saved?: SavedWebhook): Promise<WebhookSimulator> {
  const { inbox } = parts
  const secret = saved?.secret ?? `whsec_${randomBytes(32).toString('base64')}`
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
  const counters = { ...emptyCounters(), ...saved?.counters }
  const ids: string[] = [...(saved?.ids ?? [])]
  const paths = createReceivers(saved?.paths)
  const faults = createFaults({ status: 503 })
  const handle = async (request: SimulatorRequest): Promise<Outcome> => {
    counters.calls++
    ids.push(request.headers['webhook-id'] ?? '')
    if (ids.length > MAX_IDS * 1.1) ids.splice(0, ids.length - MAX_IDS)
    const fault = faultOutcome(await faults.take(request.path), request, {
      asReply: ({ status, headers = {}, body = '' }) => ({ status, headers, body: String(body) }),
    })
    if (fault) return fault
    if (!isSigned(request, key)) {
      counters.refused++
      return { status: 401 }
    }
    const payload = parseRecord(request.body.toString('utf8'))
    const data = record(payload.data)
    const message = record(data.message)
    const arriving: Arriving = {
      provider: 'webhook',
      device: 'Webhook',
      to: request.path,
      title: String(message.title ?? payload.type ?? ''),
      body: String(message.body ?? ''),
      ...fromData(data),
      silent: false,
      raw: { headers: request.headers, payload },
    }
    inbox.add(arriving, (arrived) => receive(paths.of(request.path), arrived, counters))
    counters.accepted++
    return { status: 204 }
  }
  const server = await startHttpsServer({
    identity: parts.identity,
    port: saved?.port,
    http1: true,
    latencyMs: () => faults.latencyMs,
    handle,
  })
  return {
    port: server.port,
    url: `https://127.0.0.1:${server.port}/hook`,
    server,
    faults,
    counters,
    secret,
    ids,
    paths,
    reset() {
      ids.length = 0
      paths.clear()
      Object.assign(counters, emptyCounters())
    },
    save: () => ({
      port: server.port,
      secret,
      ids,
      counters,
      paths: paths.list().map(([path, receiver]) => [path, saveReceiver(receiver)]),
    }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

function emptyCounters(): WebhookSimulator['counters'] {
  return { calls: 0, accepted: 0, refused: 0, received: 0, repeated: 0, shownTwice: 0 }
}

function isSigned({ headers, body }: SimulatorRequest, key: Buffer): boolean {
  const timestamp = headers['webhook-timestamp'] ?? ''
  if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) < TOLERANCE_SECONDS)) return false
  const signed = `${headers['webhook-id']}.${timestamp}.${body.toString('utf8')}`
  const expected = createHmac('sha256', key).update(signed).digest()
  return (headers['webhook-signature'] ?? '').split(' ').some((one) => {
    const given = Buffer.from(one.replace(/^v1,/, ''), 'base64')
    return given.length === expected.length && timingSafeEqual(given, expected)
  })
}
