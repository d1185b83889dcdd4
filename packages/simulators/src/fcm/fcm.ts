import { randomBytes } from 'node:crypto'
import { faultOutcome } from '../fault-outcome.js'
import { createFaults, type Faults } from '../faults.js'
import { type HttpsServer, type Outcome, type SimulatorRequest, startHttpsServer } from '../https-server.js'
import { parseRecord, record } from '../inbox.js'
import type { ProviderParts } from '../provider-parts.js'
import { createQuota } from '../quota.js'
import { clearReceiver } from '../receiver.js'
import { openAccount, PROJECT, type SavedAccount } from './account.js'
import { badRequest, failure, faulty, json, NOT_FOUND, quotaExceeded, refusal } from './answers.js'
import {
  bring,
  comeOnline,
  createFcmDevice,
  type FcmDevice,
  type FcmTotals,
  restoreFcmDevice,
  type SavedFcmDevice,
  saveFcmDevice,
} from './device.js'
import { messageFrom, targetOf, wrongMessage } from './message.js'
import { manageTopics } from './topics.js'

export interface FcmLimits {
  /** Sends of the project in a minute of the clock; Google grants 600 000. Absent: any. */
  projectPerMinute?: number
  /** Messages to one device in a minute; Google grants 240. Absent: any. */
  devicePerMinute?: number
}

export interface FcmSimulator extends AsyncDisposable {
  readonly port: number
  readonly tokenUrl: string
  readonly server: HttpsServer
  /** Matched against the token, or the topic or condition. */
  readonly faults: Faults
  /** Of the token endpoint, matched against its path `/token`. */
  readonly tokenFaults: Faults
  readonly limits: FcmLimits
  readonly counters: FcmTotals & { sends: number; accepted: number; validated: number; tokensIssued: number }
  /** A service account's JSON, as the provider's console hands it out. */
  readonly credentials: Record<string, string>
  registerDevice(options?: { name?: string; token?: string }): FcmDevice
  device(token: string): FcmDevice | undefined
  devices(): FcmDevice[]
  /** Coming online delivers what is still alive, in order. */
  setOnline(token: string, online: boolean): void
  /** What Google knows after the app was deleted. */
  unregister(token: string): void
  /** Makes every access token invalid, as a revocation does. */
  revokeTokens(): void
  /** Devices forget what they got, counters and quotas begin anew; registrations stay. */
  reset(): void
  save(): SavedFcm
}

export interface SavedFcm {
  port: number
  account: SavedAccount
  devices: SavedFcmDevice[]
  counters: FcmSimulator['counters']
}

const UNREGISTERED = { ...NOT_FOUND, code: 'UNREGISTERED' }
const UNAUTHENTICATED = {
  status: 'UNAUTHENTICATED',
  message: 'Request had invalid authentication credentials.',
}

/** FCM's HTTP v1 API, topic management and Google's token endpoint on one port, over HTTP/2 and HTTP/1.1. */
export async function startFcm(parts: ProviderParts, saved?: SavedFcm): Promise<FcmSimulator> {
  const { inbox, now } = parts
  const counters = emptyCounters()
  Object.assign(counters, saved?.counters)
  const account = await openAccount(counters, now, saved?.account)
  const restored = (saved?.devices ?? []).map(restoreFcmDevice)
  const devices = new Map(restored.map((device) => [device.token, device]))
  const limits: FcmLimits = {}
  const quota = createQuota(now)
  const started = now().toString(16)
  const unavailable = { status: 'UNAVAILABLE', message: 'The service is currently unavailable.' }
  const faults = createFaults({
    status: 503,
    body: failure(503, { ...unavailable, code: 'UNAVAILABLE' }),
  })
  const tokenFaults = createFaults({ status: 503, body: { error: 'internal_failure' } })
  const delivery = () => ({ inbox, totals: counters, now: now() })

  const send = async (request: SimulatorRequest, project: string): Promise<Outcome> => {
    counters.sends++
    if (!account.authorised(request)) return refusal(401, UNAUTHENTICATED)
    if (project !== PROJECT)
      return refusal(403, { status: 'PERMISSION_DENIED', message: 'Permission denied.' })
    const body = parseRecord(request.body.toString('utf8'))
    const message = record(body.message)
    const address = String(message.token ?? message.topic ?? message.condition ?? '')
    const fault = faultOutcome(await faults.take(address), request, { asReply: faulty })
    if (fault) return fault
    const wait = quota.take('project', limits.projectPerMinute)
    if (wait !== undefined) return quotaExceeded(wait, 'project')
    const target = targetOf(message)
    if ('refused' in target) return target.refused
    const wrong = wrongMessage(message, target, request.body.length)
    if (wrong) return wrong
    const dry = body.validate_only === true
    if (target.kind !== 'token') {
      const isFor = target.kind === 'topic' ? (of: ReadonlySet<string>) => of.has(target.topic) : target.isFor
      if (!dry) for (const device of devices.values()) if (reaches(device, isFor)) show(device, message)
      return taken(dry, '')
    }
    const device = devices.get(target.token)
    const refused = unreachable(device) ?? overDeviceQuota(target.token)
    if (refused) return refused
    if (device && !dry) show(device, message)
    return taken(dry, '0:')
  }

  const overDeviceQuota = (token: string): Outcome | undefined => {
    const wait = quota.take(token, limits.devicePerMinute)
    return wait === undefined ? undefined : quotaExceeded(wait, 'device')
  }
  const show = (device: FcmDevice, message: Record<string, unknown>) =>
    bring(device, messageFrom(message, device), record(message.android).ttl, delivery())
  const taken = (dry: boolean, prefix: string): Outcome => {
    if (dry) counters.validated++
    else counters.accepted++
    const id = dry ? 'fake_message_id' : `${prefix}${started}${counters.accepted.toString(16)}`
    return json(200, { name: `projects/${PROJECT}/messages/${id}` })
  }

  const server = await startHttpsServer({
    identity: parts.identity,
    port: saved?.port,
    http1: true,
    latencyMs: () => faults.latencyMs,
    async handle(request) {
      const { method, path } = request
      if (method !== 'POST') return refusal(404, NOT_FOUND)
      const project = /^\/v1\/projects\/([^/]+)\/messages:send$/.exec(path)?.[1]
      if (project) return send(request, project)
      if (path === '/token') {
        const fault = faultOutcome(await tokenFaults.take(path), request, { asReply: faulty })
        return fault ?? account.grant(request)
      }
      const how = /^\/iid\/v1:batch(Add|Remove)$/.exec(path)?.[1]
      if (how === undefined) return refusal(404, NOT_FOUND)
      if (!account.authorised(request)) return refusal(401, UNAUTHENTICATED)
      if (request.headers.access_token_auth !== 'true') return badRequest('access_token_auth', 'is missing')
      return manageTopics(request, how === 'Add' ? 'add' : 'remove', (token) => devices.get(token))
    },
  })
  return {
    port: server.port,
    tokenUrl: `https://127.0.0.1:${server.port}/token`,
    server,
    faults,
    tokenFaults,
    limits,
    counters,
    credentials: account.credentials,
    registerDevice({ name = 'Android phone', token = newToken() } = {}) {
      const device = createFcmDevice(token, name)
      devices.set(token, device)
      return device
    },
    device: (token) => devices.get(token),
    devices: () => [...devices.values()],
    setOnline(token, online) {
      const device = devices.get(token)
      if (!device) return
      if (online) comeOnline(device, delivery())
      else device.online = false
    },
    unregister(token) {
      const device = devices.get(token)
      if (device) device.state = 'unregistered'
    },
    revokeTokens: () => account.revoke(),
    reset() {
      for (const device of devices.values()) {
        clearReceiver(device)
        Object.assign(device, { stored: [], overflowed: false, deletedMessages: 0 })
      }
      Object.assign(counters, emptyCounters())
      quota.reset()
    },
    save: () => ({
      port: server.port,
      account: account.save(),
      devices: [...devices.values()].map(saveFcmDevice),
      counters,
    }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

function emptyCounters(): FcmSimulator['counters'] {
  const stores = { expired: 0, collapsed: 0, dropped: 0, deletedMessages: 0 }
  const arrivals = { received: 0, repeated: 0, shownTwice: 0 }
  return { sends: 0, accepted: 0, validated: 0, tokensIssued: 0, ...stores, ...arrivals }
}

function reaches(device: FcmDevice, isFor: (topics: ReadonlySet<string>) => boolean): boolean {
  return device.state === 'registered' && isFor(device.topics)
}

function unreachable(device: FcmDevice | undefined): Outcome | undefined {
  if (!device || device.state === 'unregistered') return refusal(404, UNREGISTERED)
  if (device.state === 'registered') return undefined
  return refusal(403, {
    status: 'PERMISSION_DENIED',
    message: 'SenderId mismatch',
    code: 'SENDER_ID_MISMATCH',
  })
}

function newToken(): string {
  return `${randomBytes(11).toString('base64url')}:APA91b${randomBytes(100).toString('base64url')}`
}
