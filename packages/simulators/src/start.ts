import { type ApnsLimits, type ApnsSimulator, startApns } from './apns/apns.js'
import { createAuthority } from './authority.js'
import { countersOf, type SimulatorCounters } from './counters.js'
import { type FcmLimits, type FcmSimulator, startFcm } from './fcm/fcm.js'
import { emptyCounters } from './https-server.js'
import { createInbox, type Inbox, type SimulatedMessage, type SimulatedProvider } from './inbox.js'
import { type SmsLimits, type SmsSimulator, startSms } from './sms.js'
import { type SmtpLimits, type SmtpSimulator, startSmtp } from './smtp.js'
import { applyState, type SimulatorsState, stateOf } from './state.js'
import { startWebhook, type WebhookSimulator } from './webhook.js'
import { startWebPush, type WebPushLimits, type WebPushSimulator } from './webpush/webpush.js'

/** Quotas by provider; none unless given. All can be changed while they run: `simulators.fcm.limits`. */
export interface SimulatorLimits {
  fcm?: FcmLimits
  apns?: ApnsLimits
  webpush?: WebPushLimits
  smtp?: SmtpLimits
  sms?: SmsLimits
}

export interface StartSimulatorsOptions {
  /** Has to be said: simulators accept what nobody ever sees, so no production process may start them. */
  allow: 'development'
  onMessage?: (message: SimulatedMessage) => void
  /** Messages that the inbox keeps. Default 500. */
  keep?: number
  /** Milliseconds that every answer of every provider takes longer. Default 0. */
  latencyMs?: number
  limits?: SimulatorLimits
  /** What earlier simulators held: keys, ports, devices, faults, counters, messages. */
  state?: SimulatorsState
  /** Milliseconds since the epoch. Default the clock's. */
  now?: () => number
}

export interface Simulators extends AsyncDisposable {
  readonly fcm: FcmSimulator
  readonly apns: ApnsSimulator
  readonly webpush: WebPushSimulator
  readonly smtp: SmtpSimulator
  readonly sms: SmsSimulator
  readonly webhook: WebhookSimulator
  /** PEM of the authority that signs all their certificates. */
  readonly ca: string
  /** What the channels package takes as settings to reach these servers. */
  readonly settingsForChannels: {
    endpoints: {
      fcm: { host: string; port: number }
      fcmToken: string
      apns: { host: string; port: number }
    }
    ca: string
    allowPrivateEgress: true
    webPushHosts: string[]
  }
  /** What the channels package takes as credentials, by provider. */
  readonly credentials: Readonly<Record<SimulatedProvider, unknown>>
  readonly inbox: Inbox
  /** What each provider was asked and did, as of now. */
  counters(): Record<SimulatedProvider, SimulatorCounters>
  /** Makes one provider fail everything until it is healed. */
  break(provider: SimulatedProvider): void
  heal(provider: SimulatedProvider): void
  /**
   * Heals everything, forgets messages and what devices got and show, and begins counters and quotas anew. Devices
   * stay registered, keys and limits stay as they are.
   */
  reset(): void
  /**
   * Everything they hold, as JSON for `state`, but messages beyond the newest 1 000 and fault rules that match by a
   * function.
   */
  save(): SimulatorsState
}

/** However many the inbox keeps: the state is written often. */
const SAVED_MESSAGES = 1000

/**
 * Starts all simulators on free loopback ports, with keys and certificates made in memory, or with those of `state`.
 * @throws Error unless `allow` is 'development', and with code EADDRINUSE when a port of `state` is taken
 */
export async function startSimulators(options: StartSimulatorsOptions): Promise<Simulators> {
  if (options?.allow !== 'development') {
    throw new Error("Simulators deliver to nobody. They start only with { allow: 'development' }.")
  }
  const { state, now = Date.now } = options
  const authority = state?.authority ?? (await createAuthority())
  const { ca, identity } = authority
  const inbox = createInbox({ now, keep: options.keep, saved: state?.messages })
  if (options.onMessage) inbox.onMessage(options.onMessage)
  const parts = { identity, inbox, now }
  const [fcm, apns, webpush, smtp, sms, webhook] = await startAll([
    startFcm(parts, state?.fcm),
    startApns(parts, state?.apns),
    startWebPush(parts, state?.webpush),
    startSmtp(parts, state?.smtp),
    startSms(parts, state?.sms),
    startWebhook(parts, state?.webhook),
  ])
  const all = { fcm, apns, webpush, smtp, sms, webhook }
  if (state) applyState(all, state)
  const { latencyMs } = options
  if (latencyMs !== undefined) for (const { faults } of Object.values(all)) faults.latencyMs = latencyMs
  for (const [provider, limits] of Object.entries(options.limits ?? {})) {
    Object.assign(all[provider as keyof SimulatorLimits].limits, limits)
  }
  const host = '127.0.0.1'
  const simulators: Simulators = {
    ...all,
    ca,
    inbox,
    settingsForChannels: {
      endpoints: { fcm: { host, port: fcm.port }, fcmToken: fcm.tokenUrl, apns: { host, port: apns.port } },
      ca,
      allowPrivateEgress: true,
      webPushHosts: [host],
    },
    credentials: {
      fcm: fcm.credentials,
      apns: apns.credentials,
      webpush: webpush.credentials,
      smtp: smtp.credentials,
      sms: sms.credentials,
      webhook: {},
    },
    counters: () => countersOf(simulators),
    break: (provider) => all[provider].faults.break(),
    heal: (provider) => all[provider].faults.heal(),
    reset() {
      for (const one of Object.values(all)) {
        one.faults.heal()
        one.reset()
        if ('server' in one) Object.assign(one.server.counters, emptyCounters())
      }
      smtp.contentFaults.heal()
      fcm.tokenFaults.heal()
      inbox.clear()
    },
    save: () => stateOf(all, { authority, messages: inbox.list().slice(-SAVED_MESSAGES) }),
    async [Symbol.asyncDispose]() {
      await Promise.all(Object.values(all).map((one) => one[Symbol.asyncDispose]()))
    },
  }
  return simulators
}

/** All of them, or none: what did start is stopped again when another could not. */
async function startAll<T extends readonly AsyncDisposable[]>(
  starting: {
    [K in keyof T]: Promise<T[K]>
  },
): Promise<T> {
  const settled = await Promise.allSettled(starting as readonly Promise<AsyncDisposable>[])
  const failed = settled.find((one) => one.status === 'rejected')
  const started = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  if (failed === undefined) return started as unknown as T
  await Promise.all(started.map((one) => one[Symbol.asyncDispose]()))
  throw failed.reason
}
