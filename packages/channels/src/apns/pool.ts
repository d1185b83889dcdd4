import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from 'node:http2'
import { trusted } from '../egress/agent.js'
import { retryAfterMs } from '../retry-after.js'
import type { DialAddress, Timeouts } from '../settings.js'
import { createWaitingRoom } from '../waiting-room.js'
import type { ApnsCredentials } from './credentials.js'
import { type ApnClient, type ApnResult, loadApnClient } from './library.js'
import type { ApnsPayload } from './payload.js'
import type { ApnsAnswer } from './verdict.js'

const HOSTS = { production: 'api.push.apple.com', sandbox: 'api.sandbox.push.apple.com' }
const SESSIONS = 2
/** Above this, Node's session memory limit or the library's timeout, which counts queueing, fails what never left. */
const PER_SESSION = 500
const DEAD_AFTER_TIMEOUTS = 3
const HEARTBEAT_MS = 15 * 60_000

export interface ApnsPoolOptions {
  credentials: ApnsCredentials
  environment: 'production' | 'sandbox'
  dial: DialAddress | undefined
  ca: string | undefined
  timeouts: Timeouts
}

/** Sessions to one APNs environment. `send` settles always and never throws; it does not retry. */
export interface ApnsPool extends AsyncDisposable {
  send(payload: ApnsPayload, token: string, signal: AbortSignal): Promise<ApnsAnswer>
}

interface Slot {
  client: ApnClient
  inFlight: number
  /** True once the session has answered: Apple allows one stream until then. */
  warm: boolean
  session: ApnClient['session']
  timeouts: number
}

/** What Apple allows on this session now, and we find bearable: more would wait inside of Node on the library's time. */
function streamsOf(session: ApnClient['session']): number {
  return Math.min(PER_SESSION, session?.remoteSettings?.maxConcurrentStreams ?? PER_SESSION)
}

/** What the wire showed of one attempt. */
interface Seen {
  headers: IncomingHttpHeaders | undefined
  stream: ClientHttp2Stream | undefined
  session: ApnClient['session']
}

export function createApnsPool(options: ApnsPoolOptions): ApnsPool {
  const { credentials, dial, timeouts } = options
  // Only of attempts under way: a stream that timed out closes after its attempt is over.
  const seenOf = new Map<string, Seen>()
  const Client = loadApnClient({
    onStream(attemptId, stream, session) {
      const seen = seenOf.get(attemptId)
      if (seen) Object.assign(seen, { stream, session })
    },
    onResponse(attemptId, headers) {
      const seen = seenOf.get(attemptId)
      if (seen) seen.headers = headers
    },
  })
  const ca = trusted(options.ca)
  const open = (): Slot => ({
    client: new Client({
      token: {
        key: credentials.key.export({ type: 'pkcs8', format: 'pem' }),
        keyId: credentials.keyId,
        teamId: credentials.teamId,
      },
      address: HOSTS[options.environment],
      production: options.environment === 'production',
      connectionRetryLimit: 0,
      requestTimeout: timeouts.requestMs,
      heartBeat: HEARTBEAT_MS,
      maxSessionMemory: 100,
      ...(ca ? { ca } : {}),
      ...(dial ? { host: dial.host, port: dial.port } : {}),
    }),
    inFlight: 0,
    warm: false,
    session: undefined,
    timeouts: 0,
  })
  const slots = Array.from({ length: SESSIONS }, open)
  // One token for all sessions: Apple counts updates, and answers 429 to clients that change theirs.
  for (const slot of slots.slice(1)) slot.client.config.token = slots[0]?.client.config.token
  const room = (slot: Slot): number => {
    const { session } = slot.client
    const gone = !session || session.closed || session.destroyed
    if (session !== slot.session || gone) {
      slot.session = session
      slot.warm = false
    }
    return (slot.warm ? streamsOf(session) : 1) - slot.inFlight
  }
  const take = (): Slot | undefined => {
    let best: Slot | undefined
    for (const slot of slots) {
      if (room(slot) > 0 && (!best || slot.inFlight < best.inFlight)) best = slot
    }
    if (best) best.inFlight++
    return best
  }
  const waiting = createWaitingRoom(take)
  const watchdog = (slot: Slot, answer: ApnsAnswer, session: ApnClient['session']) => {
    // What an earlier session answered says nothing about this one.
    if (!session || session !== slot.client.session) return
    if (answer.kind === 'answer') {
      slot.timeouts = 0
      // 401 and 403 don't lift Apple's limit of one stream.
      if (answer.status === 401 || answer.status === 403) return
      slot.warm = true
      slot.session = session
    } else if (answer.reason === 'TIMEOUT') {
      if (!session.connecting && ++slot.timeouts < DEAD_AFTER_TIMEOUTS) return
      // A peer that vanished without a FIN, or never greeted: the library would use the session for ever.
      session.destroy()
      slot.timeouts = 0
    }
  }

  return {
    async send(payload, token, signal) {
      const slot = await waiting.enter(signal)
      if (!slot) return { kind: 'not-sent', reason: 'NOT_SENT' }
      const attemptId = String(payload.headers['apns-id'])
      const seen: Seen = { headers: undefined, stream: undefined, session: undefined }
      seenOf.set(attemptId, seen)
      try {
        const result = await slot.client
          .write(payload, token, 'device', 'post')
          .catch((error: ApnResult) => error)
        const answer = read(result, seen)
        watchdog(slot, answer, seen.session)
        return answer
      } finally {
        seenOf.delete(attemptId)
        slot.inFlight--
        waiting.serve()
      }
    },
    async [Symbol.asyncDispose]() {
      waiting.close()
      await Promise.all(slots.map((slot) => closeClient(slot.client)))
    },
  }
}

function read(result: ApnResult, seen: Seen): ApnsAnswer {
  const { headers, stream } = seen
  const status = Number(headers?.[':status'] ?? 0)
  if (headers && status === 200)
    return { kind: 'answer', status, reason: 'OK', apnsId: String(headers['apns-id']) }
  const reason = result.response?.reason ?? result.error?.message ?? 'UNKNOWN'
  if (headers && status > 0) {
    const after = retryAfterMs(headers['retry-after'], Date.now())
    return {
      kind: 'answer',
      status,
      // The library turns two reasons into errors; their words are these.
      reason: reason.startsWith('Error 500')
        ? 'InternalServerError'
        : (result.response?.reason ?? knownReason(reason, status)),
      ...(result.response?.timestamp === undefined ? {} : { timestamp: result.response.timestamp }),
      ...(after === undefined ? {} : { retryAfterMs: after }),
    }
  }
  const timedOut = reason === 'apn write timeout'
  // Without an id it never became a stream of the session: nothing left this process.
  if (stream?.id === undefined)
    return { kind: 'not-sent', reason: timedOut ? 'TIMEOUT' : 'CONNECTION_FAILED' }
  if (stream.rstCode === constants.NGHTTP2_REFUSED_STREAM)
    return { kind: 'not-sent', reason: 'REFUSED_STREAM' }
  return { kind: 'no-answer', reason: timedOut ? 'TIMEOUT' : 'CONNECTION_LOST' }
}

function knownReason(reason: string, status: number): string {
  return reason === 'ExpiredProviderToken' ? reason : `HTTP_${status}`
}

/** The library's own shutdown waits for ever for a session that is destroyed already, so it gets none to see. */
async function closeClient(client: ApnClient): Promise<void> {
  const { session } = client
  if (session && !session.destroyed) {
    const closed = new Promise<void>((resolve) => session.once('close', () => resolve()))
    session.destroy(undefined, constants.NGHTTP2_NO_ERROR)
    await closed
  }
  delete client.session
  await client.shutdown()
}
