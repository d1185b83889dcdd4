import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { faultOutcome } from '../fault-outcome.js'
import { createFaults, type Faults } from '../faults.js'
import { type HttpsServer, type Outcome, type SimulatorRequest, startHttpsServer } from '../https-server.js'
import { record } from '../inbox.js'
import type { ProviderParts } from '../provider-parts.js'
import { createQuota } from '../quota.js'
import { clearReceiver } from '../receiver.js'
import { apnsId, BUNDLE, refusal, wrongRequest } from './answers.js'
import { createAuthorisation, KEY_ID, TEAM } from './authorisation.js'
import {
  type ApnsDevice,
  type ApnsTotals,
  bring,
  comeOnline,
  createApnsDevice,
  restoreApnsDevice,
  type SavedApnsDevice,
  saveApnsDevice,
} from './device.js'
import { messageFrom } from './message.js'

export interface ApnsLimits {
  /** Notifications to one device token in a minute of the clock. Apple's number isn't public. Absent: any. */
  tokenPerMinute?: number
  /** Answers about bad tokens after which a session is cut, with what is in flight on it. Absent: never. */
  badTokensPerSession?: number
  /** Streams per session once a push was authenticated; before that it is one. Default 1000. */
  maxConcurrentStreams?: number
}

export interface ApnsSimulator extends AsyncDisposable {
  readonly port: number
  readonly server: HttpsServer
  readonly faults: Faults
  readonly limits: ApnsLimits
  readonly counters: ApnsTotals & {
    sends: number
    accepted: number
    jwts: Set<string>
    /** Sessions cut for their bad tokens. */
    disconnected: number
  }
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
    /** Default `app`. A Live Activity's topic is `<bundle>.push-type.liveactivity`. */
    kind?: 'app' | 'liveactivity'
  }): ApnsDevice
  device(token: string): ApnsDevice | undefined
  devices(): ApnsDevice[]
  /** What Apple knows after the app was deleted. */
  unregister(token: string, at: number): void
  /** Coming online delivers the one notification that was kept, if it is still alive. */
  setOnline(token: string, online: boolean): void
  /** Devices forget what they got, counters and quotas begin anew; registrations stay. */
  reset(): void
  save(): SavedApns
}

export interface SavedApns {
  port: number
  key: string
  devices: SavedApnsDevice[]
  counters: Omit<ApnsSimulator['counters'], 'jwts'>
}

const DEFAULT_STREAMS = 1000
const GOODBYE = Buffer.from('{"reason":"Shutdown"}')

/** APNs' provider API over HTTP/2: ES256 tokens checked, one stream until the first good one. */
export async function startApns(parts: ProviderParts, saved?: SavedApns): Promise<ApnsSimulator> {
  const { inbox, now } = parts
  const key = saved?.key ?? newKey()
  const restored = (saved?.devices ?? []).map(restoreApnsDevice)
  const devices = new Map(restored.map((device) => [device.token.toLowerCase(), device]))
  const counters: ApnsSimulator['counters'] = { ...emptyCounters(), ...saved?.counters, jwts: new Set() }
  const limits: ApnsLimits = {}
  const quota = createQuota(now)
  const faults = createFaults({ status: 503, body: { reason: 'ServiceUnavailable' } })
  const authorisation = createAuthorisation({
    publicKey: createPublicKey(createPrivateKey(key)),
    maxConcurrentStreams: () => limits.maxConcurrentStreams ?? DEFAULT_STREAMS,
    now,
    seen: counters.jwts,
  })

  const handle = async (request: SimulatorRequest): Promise<Outcome> => {
    counters.sends++
    const { headers } = request
    const token = /^\/3\/device\/([^/]+)$/.exec(request.path)?.[1]?.toLowerCase()
    if (!token) return refusal(request, 404, 'BadPath')
    if (request.method !== 'POST') return refusal(request, 405, 'MethodNotAllowed')
    const unauthorised = authorisation.refuse(request)
    if (unauthorised)
      return refusal(request, unauthorised === 'TooManyProviderTokenUpdates' ? 429 : 403, unauthorised)
    const fault = faultOutcome(await faults.take(token), request, {
      goodbye: GOODBYE,
      asReply: (given) => ({
        status: given.status,
        headers: { ...apnsId(headers), ...given.headers },
        body: JSON.stringify(record(given.body)),
      }),
    })
    if (fault) return fault
    const wrong = wrongRequest(request)
    if (wrong) return refusal(request, wrong === 'PayloadTooLarge' ? 413 : 400, wrong)
    return deliver(request, token)
  }

  const deliver = (request: SimulatorRequest, token: string): Outcome => {
    const { headers } = request
    const environment = headers[':authority']?.includes('sandbox') ? 'sandbox' : 'production'
    const device = devices.get(token)
    if (!device || device.environment !== environment) return badToken(request)
    if (device.state === 'unregistered') {
      return refusal(request, 410, 'Unregistered', { timestamp: device.unregisteredAt ?? now() })
    }
    const toActivity = headers['apns-push-type'] === 'liveactivity'
    if (toActivity !== (device.kind === 'liveactivity'))
      return refusal(request, 400, 'DeviceTokenNotForTopic')
    if (quota.take(token, limits.tokenPerMinute) !== undefined)
      return refusal(request, 429, 'TooManyRequests')
    const to = { inbox, totals: counters, now: now() }
    bring(device, messageFrom(request, device), headers['apns-expiration'], to)
    counters.accepted++
    return { status: 200, headers: apnsId(headers) }
  }

  const badToken = (request: SimulatorRequest): Outcome => {
    const answer = refusal(request, 400, 'BadDeviceToken')
    const { session } = request
    const most = limits.badTokensPerSession
    if (!session || most === undefined || authorisation.badToken(session) < most) return answer
    return {
      ...answer,
      after: () =>
        setImmediate(() => {
          if (session.destroyed) return
          counters.disconnected++
          session.goaway(0, undefined, Buffer.from('{"reason":"BadDeviceToken"}'))
          session.destroy()
        }),
    }
  }

  const server = await startHttpsServer({
    identity: parts.identity,
    port: saved?.port,
    http1: false,
    maxConcurrentStreams: 1,
    latencyMs: () => faults.latencyMs,
    handle,
  })
  return {
    port: server.port,
    server,
    faults,
    limits,
    counters,
    credentials: { keyId: KEY_ID, teamId: TEAM, key, bundleId: BUNDLE, environment: 'sandbox' },
    registerDevice({ name = 'iPhone', token = newToken(), environment = 'sandbox', kind = 'app' } = {}) {
      const device = createApnsDevice(token, { name, kind, environment })
      devices.set(token.toLowerCase(), device)
      return device
    },
    device: (token) => devices.get(token.toLowerCase()),
    devices: () => [...devices.values()],
    unregister(token, at) {
      const device = devices.get(token.toLowerCase())
      if (device) Object.assign(device, { state: 'unregistered', unregisteredAt: at })
    },
    setOnline(token, online) {
      const device = devices.get(token.toLowerCase())
      if (!device) return
      if (online) comeOnline(device, { inbox, totals: counters, now: now() })
      else device.online = false
    },
    reset() {
      for (const device of devices.values()) {
        clearReceiver(device)
        Object.assign(device, { stored: undefined, woken: [], backgroundDropped: 0, activityAt: 0 })
      }
      counters.jwts.clear()
      Object.assign(counters, emptyCounters())
      quota.reset()
    },
    save() {
      const { jwts: _tokens, ...counted } = counters
      return { port: server.port, key, devices: [...devices.values()].map(saveApnsDevice), counters: counted }
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

function emptyCounters(): SavedApns['counters'] {
  const stores = { expired: 0, collapsed: 0, backgroundDropped: 0, activityIgnored: 0 }
  return { sends: 0, accepted: 0, disconnected: 0, ...stores, received: 0, repeated: 0, shownTwice: 0 }
}

function newKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

function newToken(): string {
  return randomBytes(32).toString('hex')
}
