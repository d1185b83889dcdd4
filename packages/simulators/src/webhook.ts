import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Identity } from './authority.js'
import { createFaults, type Faults } from './faults.js'
import { type HttpsServer, type Outcome, type SimulatorRequest, startHttpsServer } from './https-server.js'
import { fromData, type Inbox, parseRecord, record } from './inbox.js'

export interface WebhookSimulator extends AsyncDisposable {
  readonly port: number
  readonly url: string
  readonly server: HttpsServer
  /** Matched against the path. */
  readonly faults: Faults
  readonly counters: { calls: number; refused: number }
  /** The secret that signatures are checked with. */
  readonly secret: string
  /** Every `webhook-id` that arrived, in order, with repetitions. */
  readonly ids: string[]
}

const TOLERANCE_SECONDS = 300

/** A receiver of webhooks that checks Standard Webhooks signatures as a careful customer would. */
export async function startWebhook(identity: Identity, inbox: Inbox): Promise<WebhookSimulator> {
  const key = randomBytes(32)
  const counters = { calls: 0, refused: 0 }
  const ids: string[] = []
  const faults = createFaults({ status: 503 })
  const handle = async (request: SimulatorRequest): Promise<Outcome> => {
    counters.calls++
    ids.push(request.headers['webhook-id'] ?? '')
    const fault = await faults.take(request.path)
    if (fault === 'goaway') request.session?.goaway(0)
    else if (typeof fault === 'string') return fault
    else if (fault)
      return { status: fault.status, headers: fault.headers ?? {}, body: String(fault.body ?? '') }
    if (!isSigned(request, key)) {
      counters.refused++
      return { status: 401 }
    }
    const payload = parseRecord(request.body.toString('utf8'))
    const data = record(payload.data)
    const message = record(data.message)
    inbox.add({
      provider: 'webhook',
      device: 'Webhook',
      to: request.path,
      title: String(message.title ?? payload.type ?? ''),
      body: String(message.body ?? ''),
      ...fromData(data),
      silent: false,
      raw: { headers: request.headers, payload },
    })
    return { status: 204 }
  }
  const server = await startHttpsServer({ identity, http1: true, handle })
  return {
    port: server.port,
    url: `https://127.0.0.1:${server.port}/hook`,
    server,
    faults,
    counters,
    secret: `whsec_${key.toString('base64')}`,
    ids,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
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
