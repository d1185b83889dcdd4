import { createPublicKey, generateKeyPair, type KeyObject, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import type { Identity } from './authority.js'
import { createFaults, type Faults } from './faults.js'
import { type HttpsServer, type Outcome, type SimulatorRequest, startHttpsServer } from './https-server.js'
import { fromData, type Inbox, parseRecord, record, type SimulatedMessage } from './inbox.js'
import { readJwt, verifyJwt } from './jwt.js'

const PROJECT = 'carillon-simulated'
const FCM_ERROR = 'type.googleapis.com/google.firebase.fcm.v1.FcmError'
const BAD_REQUEST = 'type.googleapis.com/google.rpc.BadRequest'
const TOKEN_SECONDS = 3599
const MAX_BYTES = 4096
const MAX_STORED = 100

/** An app on an Android phone. */
export interface FcmDevice {
  token: string
  name: string
  state: 'registered' | 'unregistered' | 'other-sender'
  online: boolean
  /** What FCM keeps while the phone is offline. */
  stored: Omit<SimulatedMessage, 'id' | 'at'>[]
}

export interface FcmSimulator extends AsyncDisposable {
  readonly port: number
  readonly tokenUrl: string
  readonly server: HttpsServer
  readonly faults: Faults
  readonly counters: { sends: number; tokensIssued: number }
  /** A service account's JSON, as the provider's console hands it out. */
  readonly credentials: Record<string, string>
  registerDevice(options?: { name?: string; token?: string }): FcmDevice
  setOnline(token: string, online: boolean): void
  /** Makes every access token invalid, as a revocation does. */
  revokeTokens(): void
}

/** FCM's HTTP v1 API and Google's token endpoint on one port, over HTTP/2 and HTTP/1.1. */
export async function startFcm(identity: Identity, inbox: Inbox): Promise<FcmSimulator> {
  const account = await makeAccount()
  const devices = new Map<string, FcmDevice>()
  const access = new Map<string, number>()
  const counters = { sends: 0, tokensIssued: 0 }
  const faults = createFaults({
    status: 503,
    body: failure(503, {
      status: 'UNAVAILABLE',
      message: 'The service is currently unavailable.',
      code: 'UNAVAILABLE',
    }),
  })

  const grant = (request: SimulatorRequest): Outcome => {
    const form = new URLSearchParams(request.body.toString('utf8'))
    const assertion = form.get('assertion') ?? ''
    const claims = readJwt(assertion)?.claims ?? {}
    const now = Date.now() / 1000
    const valid =
      form.get('grant_type') === 'urn:ietf:params:oauth:grant-type:jwt-bearer' &&
      claims.iss === account.credentials.client_email &&
      verifyJwt(assertion, 'RS256', account.publicKey) &&
      typeof claims.exp === 'number' &&
      claims.exp > now &&
      claims.aud === 'https://oauth2.googleapis.com/token' &&
      String(claims.scope).includes('firebase.messaging')
    if (!valid) return json(400, { error: 'invalid_grant', error_description: 'Invalid JWT Signature.' })
    const token = `ya29.simulated.${randomBytes(24).toString('base64url')}`
    access.set(token, now + TOKEN_SECONDS)
    counters.tokensIssued++
    return json(200, { access_token: token, expires_in: TOKEN_SECONDS, token_type: 'Bearer' })
  }

  const send = async (request: SimulatorRequest, project: string): Promise<Outcome> => {
    counters.sends++
    const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
    if ((access.get(bearer) ?? 0) < Date.now() / 1000) {
      return refusal(401, {
        status: 'UNAUTHENTICATED',
        message: 'Request had invalid authentication credentials.',
      })
    }
    if (project !== PROJECT)
      return refusal(403, { status: 'PERMISSION_DENIED', message: 'Permission denied.' })
    const message = record(parseRecord(request.body.toString('utf8')).message)
    const target = String(message.token ?? '')
    const fault = await faults.take(target)
    if (fault === 'goaway') request.session?.goaway(0)
    else if (fault !== undefined) return typeof fault === 'string' ? fault : faulty(fault)
    return checked(message, target) ?? deliver(message, target)
  }

  const checked = (message: Record<string, unknown>, token: string): Outcome | undefined => {
    const data = record(message.data)
    for (const [key, value] of Object.entries(data)) {
      if (typeof value !== 'string' || /^(from|message_type)$|^(google|gcm)\./.test(key)) {
        return badRequest('message.data', `Invalid data payload key: ${key}`)
      }
    }
    const android = record(message.android)
    const counted = { data, notification: message.notification, android: android.notification }
    if (Buffer.byteLength(JSON.stringify(counted)) > MAX_BYTES)
      return badRequest('message', 'Message is too big')
    if (token.length < 20 || /\s/.test(token)) {
      return badRequest('message.token', 'The registration token is not a valid FCM registration token')
    }
    const device = devices.get(token)
    if (!device || device.state === 'unregistered') {
      return refusal(404, {
        status: 'NOT_FOUND',
        message: 'Requested entity was not found.',
        code: 'UNREGISTERED',
      })
    }
    if (device.state === 'other-sender') {
      return refusal(403, {
        status: 'PERMISSION_DENIED',
        message: 'SenderId mismatch',
        code: 'SENDER_ID_MISMATCH',
      })
    }
    return undefined
  }

  const deliver = (message: Record<string, unknown>, token: string): Outcome => {
    const device = devices.get(token) as FcmDevice
    const shown = messageFrom(message, device)
    if (device.online) inbox.add(shown)
    else store(device, shown, String(record(message.android).ttl ?? ''))
    return json(200, { name: `projects/${PROJECT}/messages/0:${randomBytes(8).toString('hex')}` })
  }

  const server = await startHttpsServer({
    identity,
    http1: true,
    async handle(request) {
      if (request.method === 'POST' && request.path === '/token') return grant(request)
      const project = /^\/v1\/projects\/([^/]+)\/messages:send$/.exec(request.path)?.[1]
      if (request.method === 'POST' && project) return send(request, project)
      return refusal(404, { status: 'NOT_FOUND', message: 'Requested entity was not found.' })
    },
  })
  return {
    port: server.port,
    tokenUrl: `https://127.0.0.1:${server.port}/token`,
    server,
    faults,
    counters,
    credentials: account.credentials,
    registerDevice({ name = 'Android phone', token = newToken() } = {}) {
      const device: FcmDevice = { token, name, state: 'registered', online: true, stored: [] }
      devices.set(token, device)
      return device
    },
    setOnline(token, online) {
      const device = devices.get(token)
      if (!device) return
      device.online = online
      if (online) for (const message of device.stored.splice(0)) inbox.add(message)
    },
    revokeTokens: () => access.clear(),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

/** Same collapse key: the newer replaces. More than 100 others: all are dropped, as FCM does. */
function store(device: FcmDevice, message: Omit<SimulatedMessage, 'id' | 'at'>, ttl: string): void {
  if (ttl === '0s') return
  device.stored = device.stored.filter(
    (one) => message.collapseKey === undefined || one.collapseKey !== message.collapseKey,
  )
  if (device.stored.filter((one) => one.collapseKey === undefined).length >= MAX_STORED) device.stored = []
  device.stored.push(message)
}

function messageFrom(
  message: Record<string, unknown>,
  device: FcmDevice,
): Omit<SimulatedMessage, 'id' | 'at'> {
  const data = record(message.data)
  const notification = record(message.notification)
  const android = record(message.android)
  const actions =
    typeof data.actions === 'string' ? (JSON.parse(data.actions) as SimulatedMessage['actions']) : []
  return {
    provider: 'fcm',
    device: device.name,
    to: device.token,
    title: String(notification.title ?? ''),
    body: String(notification.body ?? ''),
    ...(notification.image ? { imageUrl: String(notification.image) } : {}),
    ...(actions?.length ? { actions } : {}),
    ...fromData(data),
    silent: message.notification === undefined,
    ...(android.collapse_key ? { collapseKey: String(android.collapse_key) } : {}),
    raw: message,
  }
}

async function makeAccount(): Promise<{ publicKey: KeyObject; credentials: Record<string, string> }> {
  const pair = await promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  const credentials = {
    type: 'service_account',
    project_id: PROJECT,
    private_key_id: randomBytes(20).toString('hex'),
    private_key: pair.privateKey,
    client_email: `simulated@${PROJECT}.iam.gserviceaccount.com`,
    token_uri: 'https://oauth2.googleapis.com/token',
  }
  return { publicKey: createPublicKey(pair.publicKey), credentials }
}

function newToken(): string {
  return `${randomBytes(11).toString('base64url')}:APA91b${randomBytes(100).toString('base64url')}`
}

interface Failure {
  status: string
  message: string
  code?: string
}

function failure(http: number, { status, message, code }: Failure): unknown {
  const details = code ? [{ '@type': FCM_ERROR, errorCode: code }] : []
  return { error: { code: http, message, status, ...(details.length ? { details } : {}) } }
}

function refusal(http: number, what: Failure): Outcome {
  return json(http, failure(http, what))
}

function badRequest(field: string, message: string): Outcome {
  const details = [
    { '@type': FCM_ERROR, errorCode: 'INVALID_ARGUMENT' },
    { '@type': BAD_REQUEST, fieldViolations: [{ field, description: message }] },
  ]
  return json(400, { error: { code: 400, message, status: 'INVALID_ARGUMENT', details } })
}

function json(status: number, body: unknown): Outcome {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=UTF-8' },
    body: JSON.stringify(body),
  }
}

function faulty(fault: { status: number; headers?: Record<string, string>; body?: unknown }): Outcome {
  const body = typeof fault.body === 'string' ? fault.body : JSON.stringify(fault.body ?? {})
  return { status: fault.status, headers: { 'content-type': 'application/json', ...fault.headers }, body }
}
