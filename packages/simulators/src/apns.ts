import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import type { Http2Session } from 'node:http2'
import type { Identity } from './authority.js'
import { createFaults, type Faults } from './faults.js'
import { type HttpsServer, type Outcome, type SimulatorRequest, startHttpsServer } from './https-server.js'
import { fromData, type Inbox, parseRecord, record, type SimulatedMessage } from './inbox.js'
import { readJwt, verifyJwt } from './jwt.js'

const TEAM = 'SIMTEAM123'
const KEY_ID = 'SIMKEY1234'
const BUNDLE = 'dev.carillon.demo'
const MAX_BYTES = 4096
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const PUSH_TYPES = new Set(['alert', 'background'])

/** An app on an iPhone. */
export interface ApnsDevice {
  token: string
  name: string
  environment: 'production' | 'sandbox'
  state: 'registered' | 'unregistered'
  /** Milliseconds; sent with 410. */
  unregisteredAt: number | undefined
  online: boolean
  /** APNs keeps one notification per app for an offline phone. */
  stored: Omit<SimulatedMessage, 'id' | 'at'> | undefined
}

export interface ApnsSimulator extends AsyncDisposable {
  readonly port: number
  readonly server: HttpsServer
  readonly faults: Faults
  readonly counters: { sends: number; jwts: Set<string> }
  readonly credentials: {
    keyId: string
    teamId: string
    key: string
    bundleId: string
    environment: 'sandbox'
  }
  registerDevice(options?: {
    name?: string
    token?: string
    environment?: 'production' | 'sandbox'
  }): ApnsDevice
  /** What Apple knows after the app was deleted. */
  unregister(token: string, at: number): void
  setOnline(token: string, online: boolean): void
}

interface SessionState {
  jwt: string | undefined
  opened: boolean
}

export interface ApnsOptions {
  /** Streams per session once a push was authenticated. Default 1000; before that it is one. */
  maxConcurrentStreams?: number
}

/** APNs' provider API over HTTP/2: ES256 tokens checked, one stream until the first good one. */
export async function startApns(
  identity: Identity,
  inbox: Inbox,
  options: ApnsOptions = {},
): Promise<ApnsSimulator> {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const devices = new Map<string, ApnsDevice>()
  const sessions = new WeakMap<Http2Session, SessionState>()
  const counters = { sends: 0, jwts: new Set<string>() }
  const verified = new Map<string, boolean>()
  const faults = createFaults({ status: 503, body: { reason: 'ServiceUnavailable' } })

  const authorise = (request: SimulatorRequest): string | undefined => {
    const jwt = /^bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (!jwt) return 'MissingProviderToken'
    counters.jwts.add(jwt)
    const token = readJwt(jwt)
    if (!verified.has(jwt)) verified.set(jwt, verifyJwt(jwt, 'ES256', pair.publicKey))
    if (!verified.get(jwt) || token?.header.kid !== KEY_ID || token.claims.iss !== TEAM)
      return 'InvalidProviderToken'
    const age = Date.now() / 1000 - Number(token.claims.iat)
    if (!(age > -60 && age < 3600)) return 'ExpiredProviderToken'
    const { session } = request
    if (!session) return undefined
    const state = sessions.get(session) ?? { jwt: undefined, opened: false }
    sessions.set(session, state)
    if (state.jwt !== undefined && state.jwt !== jwt) return 'TooManyProviderTokenUpdates'
    state.jwt = jwt
    if (!state.opened) {
      state.opened = true
      session.settings({ maxConcurrentStreams: options.maxConcurrentStreams ?? 1000 })
    }
    return undefined
  }

  const handle = async (request: SimulatorRequest): Promise<Outcome> => {
    counters.sends++
    const { headers } = request
    const token = /^\/3\/device\/([^/]+)$/.exec(request.path)?.[1]?.toLowerCase()
    if (!token) return refusal(headers, 404, 'BadPath')
    if (request.method !== 'POST') return refusal(headers, 405, 'MethodNotAllowed')
    const unauthorised = authorise(request)
    if (unauthorised)
      return refusal(headers, unauthorised === 'TooManyProviderTokenUpdates' ? 429 : 403, unauthorised)
    const fault = await faults.take(token)
    if (fault === 'goaway') request.session?.goaway(0, undefined, Buffer.from('{"reason":"Shutdown"}'))
    else if (typeof fault === 'string') return fault
    else if (fault) {
      const reason = record(fault.body)
      return {
        status: fault.status,
        headers: { ...apnsId(headers), ...fault.headers },
        body: JSON.stringify(reason),
      }
    }
    const wrong = wrongRequest(request)
    if (wrong) return refusal(headers, wrong === 'PayloadTooLarge' ? 413 : 400, wrong)
    return deliver(request, token)
  }

  const deliver = (request: SimulatorRequest, token: string): Outcome => {
    const { headers } = request
    const environment = headers[':authority']?.includes('sandbox') ? 'sandbox' : 'production'
    const device = devices.get(token)
    if (!device || device.environment !== environment) return refusal(headers, 400, 'BadDeviceToken')
    if (device.state === 'unregistered') {
      return refusal(headers, 410, 'Unregistered', { timestamp: device.unregisteredAt ?? Date.now() })
    }
    const message = messageFrom(request, device)
    if (device.online) inbox.add(message)
    else if (headers['apns-expiration'] !== '0') device.stored = message
    return { status: 200, headers: apnsId(headers) }
  }

  const server = await startHttpsServer({ identity, http1: false, maxConcurrentStreams: 1, handle })
  return {
    port: server.port,
    server,
    faults,
    counters,
    credentials: {
      keyId: KEY_ID,
      teamId: TEAM,
      key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      bundleId: BUNDLE,
      environment: 'sandbox',
    },
    registerDevice({
      name = 'iPhone',
      token = randomBytes(32).toString('hex'),
      environment = 'sandbox',
    } = {}) {
      const device: ApnsDevice = {
        token,
        name,
        environment,
        state: 'registered',
        unregisteredAt: undefined,
        online: true,
        stored: undefined,
      }
      devices.set(token.toLowerCase(), device)
      return device
    },
    unregister(token, at) {
      const device = devices.get(token.toLowerCase())
      if (device) Object.assign(device, { state: 'unregistered', unregisteredAt: at })
    },
    setOnline(token, online) {
      const device = devices.get(token.toLowerCase())
      if (!device) return
      device.online = online
      if (online && device.stored) inbox.add(device.stored)
      if (online) device.stored = undefined
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

/** The reason that Apple gives for a malformed request, in its order of checks. */
function wrongRequest({ headers, body }: SimulatorRequest): string | undefined {
  const type = headers['apns-push-type']
  const priority = headers['apns-priority'] ?? '10'
  if (!type || !PUSH_TYPES.has(type)) return 'InvalidPushType'
  if (headers['apns-id'] !== undefined && !UUID.test(headers['apns-id'])) return 'BadMessageId'
  if (Buffer.byteLength(headers['apns-collapse-id'] ?? '') > 64) return 'BadCollapseId'
  if (!['1', '5', '10'].includes(priority) || (type === 'background' && priority === '10'))
    return 'BadPriority'
  if (headers['apns-expiration'] !== undefined && !/^\d+$/.test(headers['apns-expiration']))
    return 'BadExpirationDate'
  if (body.length === 0) return 'PayloadEmpty'
  if (body.length > MAX_BYTES) return 'PayloadTooLarge'
  if (!headers['apns-topic']) return 'MissingTopic'
  if (headers['apns-topic'] !== BUNDLE) return 'TopicDisallowed'
  return undefined
}

function messageFrom(
  { headers, body }: SimulatorRequest,
  device: ApnsDevice,
): Omit<SimulatedMessage, 'id' | 'at'> {
  const payload = parseRecord(body.toString('utf8'))
  const alert = record(record(payload.aps).alert)
  const actions =
    typeof payload.actions === 'string' ? (JSON.parse(payload.actions) as SimulatedMessage['actions']) : []
  return {
    provider: 'apns',
    device: device.name,
    to: device.token,
    title: String(alert.title ?? ''),
    body: String(alert.body ?? ''),
    ...(alert.subtitle ? { subtitle: String(alert.subtitle) } : {}),
    ...(payload.image ? { imageUrl: String(payload.image) } : {}),
    ...(actions?.length ? { actions } : {}),
    ...fromData(payload),
    silent: headers['apns-push-type'] === 'background',
    ...(headers['apns-collapse-id'] ? { collapseKey: headers['apns-collapse-id'] } : {}),
    raw: { headers, payload },
  }
}

function apnsId(headers: Record<string, string>): Record<string, string> {
  return { 'apns-id': headers['apns-id'] ?? randomUUID().toUpperCase() }
}

function refusal(
  headers: Record<string, string>,
  status: number,
  reason: string,
  extra: object = {},
): Outcome {
  return {
    status,
    headers: { ...apnsId(headers), 'content-type': 'application/json' },
    body: JSON.stringify({ reason, ...extra }),
  }
}
