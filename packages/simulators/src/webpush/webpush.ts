import { createECDH } from 'node:crypto'
import { faultOutcome } from '../fault-outcome.js'
import { createFaults, type Faults } from '../faults.js'
import { type HttpsServer, type Outcome, type SimulatorRequest, startHttpsServer } from '../https-server.js'
import type { ProviderParts } from '../provider-parts.js'
import { createQuota } from '../quota.js'
import { clearReceiver } from '../receiver.js'
import { decryptPush } from './decrypt.js'
import {
  bring,
  comeOnline,
  createWebPushDevice,
  type HeldDevice,
  messageFrom,
  restoreWebPushDevice,
  type SavedWebPushDevice,
  saveWebPushDevice,
  type WebPushDevice,
  type WebPushTotals,
} from './device.js'
import { createVapidChecks } from './vapid.js'

export interface WebPushLimits {
  /** Pushes to this origin in a minute of the clock. Absent: any. */
  originPerMinute?: number
}

export interface WebPushSimulator extends AsyncDisposable {
  readonly port: number
  readonly origin: string
  readonly server: HttpsServer
  readonly faults: Faults
  readonly limits: WebPushLimits
  /**
   * False takes pushes without decrypting them, which costs most of the time: they are counted as accepted and shown
   * nowhere. For benchmarks. Default true.
   */
  decrypts: boolean
  readonly counters: WebPushTotals & {
    pushes: number
    accepted: number
    jwts: Set<string>
    undecryptable: number
  }
  readonly credentials: { subject: string; publicKey: string; privateKey: string }
  /** Subscribes a browser with the application's VAPID key, ours unless another is given. */
  registerDevice(options?: { name?: string; applicationServerKey?: string }): WebPushDevice
  device(id: string): WebPushDevice | undefined
  devices(): WebPushDevice[]
  /** Coming online delivers what is still alive, in order. */
  setOnline(id: string, online: boolean): void
  /** What the push service knows after the person withdrew the permission. */
  unregister(id: string): void
  /** Browsers forget what they got, counters and quotas begin anew; subscriptions stay. */
  reset(): void
  save(): SavedWebPush
}

export interface SavedWebPush {
  port: number
  privateKey: string
  decrypts: boolean
  devices: SavedWebPushDevice[]
  counters: Omit<WebPushSimulator['counters'], 'jwts'>
}

const MAX_BODY_BYTES = 4096
const URGENCIES = ['very-low', 'low', 'normal', 'high']

/** A push service (RFC 8030) and the browsers behind it: VAPID checked (RFC 8292), payload decrypted (RFC 8291). */
export async function startWebPush(parts: ProviderParts, saved?: SavedWebPush): Promise<WebPushSimulator> {
  const { inbox, now } = parts
  const { publicKey, privateKey } = vapidKeys(saved?.privateKey)
  const restored = (saved?.devices ?? []).map(restoreWebPushDevice)
  const devices = new Map<string, HeldDevice>(restored.map((device) => [device.id, device]))
  const counters: WebPushSimulator['counters'] = { ...emptyCounters(), ...saved?.counters, jwts: new Set() }
  const limits: WebPushLimits = {}
  const quota = createQuota(now)
  const faults = createFaults({ status: 503, body: 'temporarily unavailable' })
  const started = now().toString(36)
  let origin = ''
  const vapid = createVapidChecks({ origin: () => origin, now, seen: counters.jwts })

  const handle = async (request: SimulatorRequest): Promise<Outcome> => {
    const id = /^\/push\/([\w-]+)$/.exec(request.path)?.[1] ?? ''
    if (request.method !== 'POST') return { status: 405 }
    counters.pushes++
    const fault = faultOutcome(await faults.take(id), request, {
      asReply: ({ status, headers = {}, body = '' }) => ({ status, headers, body: String(body) }),
    })
    if (fault) return fault
    const wait = quota.take(origin, limits.originPerMinute)
    if (wait !== undefined) {
      return { status: 429, headers: { 'retry-after': String(wait) }, body: 'too many requests' }
    }
    const device = devices.get(id)
    if (!device) return { status: 404, body: 'subscription not found' }
    if (device.state === 'gone') return { status: 410, body: 'push subscription has unsubscribed or expired' }
    return refused(request, device) ?? accept(request, device)
  }

  const refused = ({ headers, body }: SimulatorRequest, device: HeldDevice): Outcome | undefined => {
    const problem = vapid.refuse(headers.authorization, device.applicationServerKey)
    if (problem) return problem
    if (!/^\d+$/.test(headers.ttl ?? '')) return { status: 400, body: 'missing or invalid TTL header' }
    const { topic, urgency } = headers
    if (topic !== undefined && !/^[A-Za-z0-9_-]{1,32}$/.test(topic))
      return { status: 400, body: 'invalid Topic' }
    // Apple decodes the topic as base64url: a length of 1 mod 4 can't be.
    if (topic !== undefined && topic.length % 4 === 1)
      return { status: 400, body: '{"reason":"BadWebPushTopic"}' }
    if (urgency !== undefined && !URGENCIES.includes(urgency)) return { status: 400, body: 'invalid Urgency' }
    if (body.length > MAX_BODY_BYTES) return { status: 413, body: 'payload too large' }
    if (body.length > 0 && headers['content-encoding'] !== 'aes128gcm') return { status: 415 }
    return undefined
  }

  const accept = ({ headers, body }: SimulatorRequest, device: HeldDevice): Outcome => {
    counters.accepted++
    const location = `${origin}/message/${started}${counters.accepted.toString(36)}`
    const answer = { status: 201, headers: { location, ttl: String(headers.ttl) } }
    if (!simulator.decrypts) return answer
    const plain = body.length === 0 ? '' : decryptPush(device, body)
    if (plain === undefined) {
      // The push service can't see it: the browser drops what it can't decrypt.
      counters.undecryptable++
      return answer
    }
    const message = messageFrom(plain, headers.topic, device)
    bring(device, message, Number(headers.ttl) * 1000, { inbox, totals: counters, now: now() })
    return answer
  }

  const server = await startHttpsServer({
    identity: parts.identity,
    port: saved?.port,
    http1: true,
    latencyMs: () => faults.latencyMs,
    handle,
  })
  origin = `https://127.0.0.1:${server.port}`
  const simulator: WebPushSimulator = {
    port: server.port,
    origin,
    decrypts: saved?.decrypts ?? true,
    server,
    faults,
    limits,
    counters,
    credentials: { subject: 'mailto:push@carillon.example', publicKey, privateKey },
    registerDevice({ name = 'Desktop browser', applicationServerKey = publicKey } = {}) {
      const device = createWebPushDevice(origin, { name, applicationServerKey })
      devices.set(device.id, device)
      return device
    },
    device: (id) => devices.get(id),
    devices: () => [...devices.values()],
    setOnline(id, online) {
      const device = devices.get(id)
      if (!device) return
      if (online) comeOnline(device, { inbox, totals: counters, now: now() })
      else device.online = false
    },
    unregister(id) {
      const device = devices.get(id)
      if (device) device.state = 'gone'
    },
    reset() {
      for (const device of devices.values()) {
        clearReceiver(device)
        device.stored = []
      }
      counters.jwts.clear()
      Object.assign(counters, emptyCounters())
      quota.reset()
    },
    save() {
      const { jwts: _tokens, ...counted } = counters
      const held = [...devices.values()].map(saveWebPushDevice)
      const { decrypts } = simulator
      return { port: server.port, privateKey, decrypts, devices: held, counters: counted }
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
  return simulator
}

function emptyCounters(): SavedWebPush['counters'] {
  const arrivals = { received: 0, repeated: 0, shownTwice: 0 }
  return { pushes: 0, accepted: 0, undecryptable: 0, expired: 0, collapsed: 0, ...arrivals }
}

function vapidKeys(saved: string | undefined): { publicKey: string; privateKey: string } {
  const pair = createECDH('prime256v1')
  if (saved === undefined) pair.generateKeys()
  else pair.setPrivateKey(saved, 'base64url')
  // A scalar with leading zeros is shorter than 32 bytes; the format wants them.
  const privateKey = Buffer.concat([Buffer.alloc(32), pair.getPrivateKey()])
    .subarray(-32)
    .toString('base64url')
  return { publicKey: pair.getPublicKey('base64url'), privateKey }
}
