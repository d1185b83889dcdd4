import { createECDH, createPublicKey, type ECDH, randomBytes, randomUUID } from 'node:crypto'
import type { Identity } from './authority.js'
import { createFaults, type Faults } from './faults.js'
import { type HttpsServer, type Outcome, type SimulatorRequest, startHttpsServer } from './https-server.js'
import { fromData, type Inbox, parseRecord, record, type SimulatedMessage } from './inbox.js'
import { readJwt, verifyJwt } from './jwt.js'
import { decryptPush } from './webpush-decrypt.js'

const MAX_BODY_BYTES = 4096

/** What a browser's `pushManager.subscribe()` returns. */
export interface PushSubscriptionJson {
  endpoint: string
  keys: { p256dh: string; auth: string }
}

/** A browser's subscription as its push service and the browser know it. */
export interface WebPushDevice {
  id: string
  name: string
  subscription: PushSubscriptionJson
  state: 'subscribed' | 'gone'
  online: boolean
  /** What the push service keeps for an offline browser: one per topic, all of those without. */
  stored: { topic: string | undefined; until: number; message: Omit<SimulatedMessage, 'id' | 'at'> }[]
}

export interface WebPushSimulator extends AsyncDisposable {
  readonly port: number
  readonly origin: string
  readonly server: HttpsServer
  readonly faults: Faults
  readonly counters: { pushes: number; jwts: Set<string>; undecryptable: number }
  readonly credentials: { subject: string; publicKey: string; privateKey: string }
  /** Subscribes a browser with the application's VAPID key, ours unless another is given. */
  registerDevice(options?: { name?: string; applicationServerKey?: string }): WebPushDevice
  setOnline(id: string, online: boolean): void
}

interface Held extends WebPushDevice {
  ecdh: ECDH
  auth: Buffer
  applicationServerKey: string
}

/** A push service (RFC 8030) and the browsers behind it: VAPID checked (RFC 8292), payload decrypted (RFC 8291). */
export async function startWebPush(identity: Identity, inbox: Inbox): Promise<WebPushSimulator> {
  const vapid = createECDH('prime256v1')
  vapid.generateKeys()
  const publicKey = vapid.getPublicKey('base64url')
  // A scalar with leading zeros is shorter than 32 bytes; the format wants them.
  const privateKey = Buffer.concat([Buffer.alloc(32), vapid.getPrivateKey()])
    .subarray(-32)
    .toString('base64url')
  const devices = new Map<string, Held>()
  const counters = { pushes: 0, jwts: new Set<string>(), undecryptable: 0 }
  const faults = createFaults({ status: 503, body: 'temporarily unavailable' })
  let origin = ''

  const handle = async (request: SimulatorRequest): Promise<Outcome> => {
    const id = /^\/push\/([\w-]+)$/.exec(request.path)?.[1] ?? ''
    if (request.method !== 'POST') return { status: 405 }
    counters.pushes++
    const fault = await faults.take(id)
    if (fault === 'goaway') request.session?.goaway(0)
    else if (typeof fault === 'string') return fault
    else if (fault) {
      return { status: fault.status, headers: fault.headers ?? {}, body: String(fault.body ?? '') }
    }
    const device = devices.get(id)
    if (!device) return { status: 404, body: 'subscription not found' }
    if (device.state === 'gone') return { status: 410, body: 'push subscription has unsubscribed or expired' }
    return refused(request, device) ?? accept(request, device)
  }

  const refused = ({ headers, body }: SimulatorRequest, device: Held): Outcome | undefined => {
    const problem = vapidProblem(headers.authorization, {
      origin,
      key: device.applicationServerKey,
      seen: counters.jwts,
    })
    if (problem) return problem
    if (!/^\d+$/.test(headers.ttl ?? '')) return { status: 400, body: 'missing or invalid TTL header' }
    const { topic, urgency } = headers
    if (topic !== undefined && !/^[A-Za-z0-9_-]{1,32}$/.test(topic))
      return { status: 400, body: 'invalid Topic' }
    // Apple decodes the topic as base64url: a length of 1 mod 4 can't be.
    if (topic !== undefined && topic.length % 4 === 1)
      return { status: 400, body: '{"reason":"BadWebPushTopic"}' }
    if (urgency !== undefined && !['very-low', 'low', 'normal', 'high'].includes(urgency)) {
      return { status: 400, body: 'invalid Urgency' }
    }
    if (body.length > MAX_BODY_BYTES) return { status: 413, body: 'payload too large' }
    if (body.length > 0 && headers['content-encoding'] !== 'aes128gcm') return { status: 415 }
    return undefined
  }

  const accept = ({ headers, body }: SimulatorRequest, device: Held): Outcome => {
    const ttlMs = Number(headers.ttl) * 1000
    const answer = {
      status: 201,
      headers: { location: `${origin}/message/${randomUUID()}`, ttl: String(headers.ttl) },
    }
    const plain = body.length === 0 ? '' : decryptPush(device, body)
    if (plain === undefined) {
      // The push service can't see it: the browser drops what it can't decrypt.
      counters.undecryptable++
      return answer
    }
    const message = messageFrom(plain, headers.topic, device)
    if (device.online) inbox.add(message)
    else if (ttlMs > 0) {
      const kept = device.stored.filter((one) => headers.topic === undefined || one.topic !== headers.topic)
      device.stored = [...kept, { topic: headers.topic, until: Date.now() + ttlMs, message }]
    }
    return answer
  }

  const server = await startHttpsServer({ identity, http1: true, handle })
  origin = `https://127.0.0.1:${server.port}`
  return {
    port: server.port,
    origin,
    server,
    faults,
    counters,
    credentials: { subject: 'mailto:push@carillon.example', publicKey, privateKey },
    registerDevice({ name = 'Desktop browser', applicationServerKey = publicKey } = {}) {
      const ecdh = createECDH('prime256v1')
      ecdh.generateKeys()
      const auth = randomBytes(16)
      const id = randomBytes(24).toString('base64url')
      const keys = { p256dh: ecdh.getPublicKey('base64url'), auth: auth.toString('base64url') }
      const subscription = { endpoint: `${origin}/push/${id}`, keys }
      const state = { id, name, subscription, state: 'subscribed', online: true, stored: [] } as const
      const device: Held = { ...state, stored: [], ecdh, auth, applicationServerKey }
      devices.set(id, device)
      return device
    },
    setOnline(id, online) {
      const device = devices.get(id)
      if (!device) return
      device.online = online
      if (!online) return
      for (const { until, message } of device.stored.splice(0)) if (until > Date.now()) inbox.add(message)
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

/** Why a VAPID header is refused, as push services answer; undefined when it is good. */
function vapidProblem(
  authorization: string | undefined,
  expected: { origin: string; key: string; seen: Set<string> },
): Outcome | undefined {
  const parts = /^vapid\s+t=([\w.-]+),\s*k=([\w-]+)$/i.exec(authorization ?? '')
  const [, jwt, key] = parts ?? []
  if (!jwt || !key) return { status: 401, body: 'missing or malformed VAPID authorization' }
  expected.seen.add(jwt)
  const raw = Buffer.from(key, 'base64url')
  const point = {
    x: raw.subarray(1, 33).toString('base64url'),
    y: raw.subarray(33, 65).toString('base64url'),
  }
  const publicKey = createPublicKey({ key: { kty: 'EC', crv: 'P-256', ...point }, format: 'jwk' })
  const claims = readJwt(jwt)?.claims ?? {}
  const now = Date.now() / 1000
  if (!verifyJwt(jwt, 'ES256', publicKey)) return { status: 403, body: 'invalid VAPID signature' }
  if (Number(claims.exp) <= now) return { status: 401, body: 'VAPID token expired' }
  if (!(Number(claims.exp) <= now + 86_400))
    return { status: 403, body: 'VAPID exp is more than 24 hours ahead' }
  if (claims.aud !== expected.origin) return { status: 403, body: 'VAPID audience is wrong' }
  if (!/^(mailto:.+@|https:\/\/(?!localhost))/.test(String(claims.sub))) {
    return { status: 403, body: '{"reason":"BadJwtToken"}' }
  }
  if (key !== expected.key) return { status: 403, body: 'VAPID public key mismatch' }
  return undefined
}

function messageFrom(
  plain: string,
  topic: string | undefined,
  device: Held,
): Omit<SimulatedMessage, 'id' | 'at'> {
  const payload = parseRecord(plain)
  const shown = record(payload.notification)
  const actions = Array.isArray(shown.actions) ? shown.actions.map(record) : []
  return {
    provider: 'webpush',
    device: device.name,
    to: device.id,
    title: String(shown.title ?? ''),
    body: String(shown.body ?? ''),
    ...(shown.image ? { imageUrl: String(shown.image) } : {}),
    ...(actions.length > 0
      ? {
          actions: actions.map((one) => ({
            id: String(one.action),
            title: String(one.title),
            ...(one.navigate ? { url: String(one.navigate) } : {}),
          })),
        }
      : {}),
    ...fromData(record(shown.data)),
    silent: false,
    ...(topic === undefined ? {} : { collapseKey: topic }),
    raw: payload,
  }
}
