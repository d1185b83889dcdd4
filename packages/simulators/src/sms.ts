import { randomBytes, timingSafeEqual } from 'node:crypto'
import { faultOutcome } from './fault-outcome.js'
import { createFaults, type Faults } from './faults.js'
import { type HttpsServer, type Outcome, type SimulatorRequest, startHttpsServer } from './https-server.js'
import type { Arriving } from './inbox.js'
import type { ProviderParts } from './provider-parts.js'
import { createQuota } from './quota.js'
import {
  type ArrivalTotals,
  createReceivers,
  type Receivers,
  receive,
  type SavedReceiver,
  saveReceiver,
} from './receiver.js'
import { createCarrier } from './sms-carrier.js'

export interface SmsLimits {
  /** Messages in a minute of the clock; more are answered 429 with code 20429. Absent: any. */
  messagesPerMinute?: number
}

export interface SmsSimulator extends AsyncDisposable {
  readonly port: number
  readonly server: HttpsServer
  /** Matched against the recipient's number. The body of a status is `{ code }`; absent, the code usual for it. */
  readonly faults: Faults
  readonly limits: SmsLimits
  readonly counters: ArrivalTotals & {
    requests: number
    messages: number
    segments: number
    callbacks: number
    callbacksRefused: number
  }
  readonly credentials: { accountSid: string; authToken: string; from: string; baseUrl: string }
  /** Takes messages to a number, then reports them undelivered with Twilio's error code, like 30003 or 30007. */
  failLater(number: string, code: number): void
  /** The person answers STOP: the number is refused with 21610 until `start`. */
  stop(number: string): void
  start(number: string): void
  /** Resolves once every callback that is due was sent. */
  settled(): Promise<void>
  /** What each number got. */
  readonly numbers: Receivers
  /** Numbers forget what they got, counters and quotas begin anew; who answered STOP stays stopped. */
  reset(): void
  save(): SavedSms
}

export interface SavedSms {
  port: number
  accountSid: string
  authToken: string
  stopped: string[]
  counters: SmsSimulator['counters']
  numbers: [number: string, receiver: SavedReceiver][]
}

const FROM = '+15005550006'
const MAX_CHARACTERS = 1600
/** Twilio's own numbers for tests, and what they are answered. */
const MAGIC: Readonly<Record<string, number>> = {
  '+15005550001': 21211,
  '+15005550002': 21612,
  '+15005550003': 21408,
  '+15005550004': 21610,
  '+15005550009': 21614,
}
const CODE_OF: Readonly<Record<number, number>> = { 401: 20003, 429: 20429, 500: 20500, 503: 20503 }

/**
 * Twilio's message API: HTTP Basic with the account, form in, JSON out, signed status callbacks afterwards. What it
 * takes is shown on a phone with that number.
 */
export async function startSms(parts: ProviderParts, saved?: SavedSms): Promise<SmsSimulator> {
  const { inbox, now } = parts
  const accountSid = saved?.accountSid ?? `AC${randomBytes(16).toString('hex')}`
  const authToken = saved?.authToken ?? randomBytes(16).toString('hex')
  const counters = { ...emptyCounters(), ...saved?.counters }
  const stopped = new Set<string>(saved?.stopped)
  const numbers = createReceivers(saved?.numbers)
  const limits: SmsLimits = {}
  const quota = createQuota(now)
  const faults = createFaults({ status: 503 })
  const carrier = createCarrier({ accountSid, authToken, counters })

  const handle = async (request: SimulatorRequest): Promise<Outcome> => {
    counters.requests++
    const form = new URLSearchParams(request.body.toString('utf8'))
    const to = form.get('To') ?? ''
    const fault = faultOutcome(await faults.take(to), request, {
      asReply: ({ status, headers = {}, body = { code: CODE_OF[status] } }) => ({
        status,
        headers,
        body: JSON.stringify(body),
      }),
    })
    if (fault) return fault
    if (!isAccount(request.headers.authorization ?? '', `${accountSid}:${authToken}`)) {
      return problem(401, 20003, 'Authenticate')
    }
    if (request.method === 'GET' && request.path === `/2010-04-01/Accounts/${accountSid}.json`) {
      const body = JSON.stringify({ sid: accountSid, status: 'active', type: 'Full' })
      return { status: 200, headers: { 'content-type': 'application/json' }, body }
    }
    if (request.method !== 'POST' || request.path !== `/2010-04-01/Accounts/${accountSid}/Messages.json`) {
      return problem(404, 20404, 'The requested resource was not found')
    }
    const wait = quota.take('messages', limits.messagesPerMinute)
    if (wait !== undefined) return problem(429, 20429, 'Too Many Requests', { 'retry-after': String(wait) })
    const refusal = refusalOf(form, stopped)
    if (refusal !== undefined) return problem(400, refusal, 'Refused')
    const text = form.get('Body') ?? ''
    const segments = segmentsIn(text)
    const sid = `SM${randomBytes(16).toString('hex')}`
    counters.messages++
    counters.segments += segments
    const from = form.get('From') ?? form.get('MessagingServiceSid') ?? ''
    const fields = { sid, from, to, status: 'queued', body: text, num_segments: String(segments) }
    if (!carrier.fails(to)) {
      const message: Arriving = {
        provider: 'sms',
        device: to,
        to,
        title: from,
        body: text,
        silent: false,
        raw: { ...fields, statusCallback: form.get('StatusCallback'), validity: form.get('ValidityPeriod') },
      }
      inbox.add(message, (arrived) => receive(numbers.of(to), arrived, counters))
    }
    carrier.bring({ sid, from, to, callback: form.get('StatusCallback') })
    return {
      status: 201,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...fields, account_sid: accountSid, error_code: null, error_message: null }),
    }
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
    server,
    faults,
    limits,
    counters,
    numbers,
    credentials: { accountSid, authToken, from: FROM, baseUrl: `https://127.0.0.1:${server.port}` },
    failLater: (number, code) => carrier.failLater(number, code),
    stop: (number) => void stopped.add(number),
    start: (number) => void stopped.delete(number),
    settled: () => carrier.settled(),
    reset() {
      numbers.clear()
      Object.assign(counters, emptyCounters())
      quota.reset()
    },
    save: () => ({
      port: server.port,
      accountSid,
      authToken,
      stopped: [...stopped],
      counters,
      numbers: numbers.list().map(([number, receiver]) => [number, saveReceiver(receiver)]),
    }),
    async [Symbol.asyncDispose]() {
      await carrier[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

function emptyCounters(): SmsSimulator['counters'] {
  const sent = { requests: 0, messages: 0, segments: 0, callbacks: 0, callbacksRefused: 0 }
  return { ...sent, received: 0, repeated: 0, shownTwice: 0 }
}

function refusalOf(form: URLSearchParams, stopped: ReadonlySet<string>): number | undefined {
  const to = form.get('To') ?? ''
  const from = form.get('From')
  const text = form.get('Body') ?? ''
  const callback = form.get('StatusCallback')
  if (!/^\+[1-9]\d{6,14}$/.test(to)) return 21211
  if (from === null && !form.has('MessagingServiceSid')) return 21603
  if (from !== null && from !== FROM) return 21606
  if (text === '') return 21602
  if (text.length > MAX_CHARACTERS) return 21617
  if (callback !== null && !URL.canParse(callback)) return 21609
  return stopped.has(to) ? 21610 : MAGIC[to]
}

/** An estimate for counters: signs outside of Latin-1 and the euro make the text UCS-2. */
function segmentsIn(text: string): number {
  const [alone, part] = /^[\n\r -ÿ€]*$/.test(text) ? [160, 153] : [70, 67]
  return text.length <= alone ? 1 : Math.ceil(text.length / part)
}

function isAccount(authorization: string, expected: string): boolean {
  const given = Buffer.from(authorization.replace(/^Basic /i, ''), 'base64')
  const wanted = Buffer.from(expected)
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}

function problem(
  status: number,
  code: number,
  message: string,
  headers: Record<string, string> = {},
): Outcome {
  return {
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({
      code,
      message,
      more_info: `https://www.twilio.com/docs/errors/${code}`,
      status,
    }),
  }
}
