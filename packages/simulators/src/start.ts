import { type ApnsSimulator, startApns } from './apns.js'
import { createAuthority } from './authority.js'
import { type FcmSimulator, startFcm } from './fcm.js'
import { createInbox, type Inbox, type SimulatedMessage, type SimulatedProvider } from './inbox.js'
import { type SmsSimulator, startSms } from './sms.js'
import { type SmtpSimulator, startSmtp } from './smtp.js'
import { startWebhook, type WebhookSimulator } from './webhook.js'
import { startWebPush, type WebPushSimulator } from './webpush.js'

export interface StartSimulatorsOptions {
  /** Has to be said: simulators accept what nobody ever sees, so no production process may start them. */
  allow: 'development'
  onMessage?: (message: SimulatedMessage) => void
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
  /** Makes one provider fail everything until it is healed. */
  break(provider: SimulatedProvider): void
  heal(provider: SimulatedProvider): void
}

/**
 * Starts all simulators on free loopback ports, with keys and certificates made in memory.
 * @throws Error unless `allow` is 'development'
 */
export async function startSimulators(options: StartSimulatorsOptions): Promise<Simulators> {
  if (options?.allow !== 'development') {
    throw new Error("Simulators deliver to nobody. They start only with { allow: 'development' }.")
  }
  const { ca, identity } = await createAuthority()
  const inbox = createInbox()
  if (options.onMessage) inbox.onMessage(options.onMessage)
  const [fcm, apns, webpush, smtp, sms, webhook] = await Promise.all([
    startFcm(identity, inbox),
    startApns(identity, inbox),
    startWebPush(identity, inbox),
    startSmtp(identity, inbox),
    startSms(identity, inbox),
    startWebhook(identity, inbox),
  ])
  const all = { fcm, apns, webpush, smtp, sms, webhook }
  const host = '127.0.0.1'
  return {
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
    break: (provider) => all[provider].faults.break(),
    heal: (provider) => all[provider].faults.heal(),
    async [Symbol.asyncDispose]() {
      await Promise.all(Object.values(all).map((one) => one[Symbol.asyncDispose]()))
    },
  }
}
