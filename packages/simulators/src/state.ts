import type { ApnsSimulator, SavedApns } from './apns/apns.js'
import type { Authority } from './authority.js'
import type { FaultRuleData } from './fault-rules.js'
import type { Faults } from './faults.js'
import type { FcmSimulator, SavedFcm } from './fcm/fcm.js'
import type { HttpsCounters } from './https-server.js'
import type { SimulatedMessage, SimulatedProvider } from './inbox.js'
import type { SavedSms, SmsSimulator } from './sms.js'
import type { SavedSmtp, SmtpSimulator } from './smtp.js'
import type { SavedWebhook, WebhookSimulator } from './webhook.js'
import type { SavedWebPush, WebPushSimulator } from './webpush/webpush.js'

/** All that simulators hold, as JSON: with it others go on where these stopped, under the same keys and ports. */
export interface SimulatorsState {
  version: 1
  authority: Authority
  messages: readonly SimulatedMessage[]
  fcm: SavedFcm
  apns: SavedApns
  webpush: SavedWebPush
  smtp: SavedSmtp
  sms: SavedSms
  webhook: SavedWebhook
  settings: Record<SimulatedProvider, SavedSettings>
}

interface SavedSettings {
  rules: FaultRuleData[]
  broken: boolean
  latencyMs: number
  limits: object
  /** Of the HTTPS server; absent for SMTP. */
  server?: HttpsCounters
}

interface Providers {
  fcm: FcmSimulator
  apns: ApnsSimulator
  webpush: WebPushSimulator
  smtp: SmtpSimulator
  sms: SmsSimulator
  webhook: WebhookSimulator
}

export function stateOf(
  all: Providers,
  of: { authority: Authority; messages: readonly SimulatedMessage[] },
): SimulatorsState {
  const { fcm, apns, webpush, smtp, sms, webhook } = all
  return {
    version: 1,
    ...of,
    fcm: fcm.save(),
    apns: apns.save(),
    webpush: webpush.save(),
    smtp: smtp.save(),
    sms: sms.save(),
    webhook: webhook.save(),
    settings: {
      fcm: settingsOf(fcm),
      apns: settingsOf(apns),
      webpush: settingsOf(webpush),
      smtp: settingsOf(smtp),
      sms: settingsOf(sms),
      webhook: settingsOf(webhook),
    },
  }
}

/** Fault rules, outages, latency, limits and the servers' counters as they were. */
export function applyState(all: Providers, { settings }: SimulatorsState): void {
  for (const [name, saved] of Object.entries(settings)) {
    const one: Adjustable = all[name as SimulatedProvider]
    one.faults.rules.push(...saved.rules)
    one.faults.latencyMs = saved.latencyMs
    if (saved.broken) one.faults.break()
    if (one.limits) Object.assign(one.limits, saved.limits)
    if (one.server) Object.assign(one.server.counters, saved.server)
  }
}

interface Adjustable {
  faults: Faults
  limits?: object
  server?: { counters: HttpsCounters }
}

function settingsOf({ faults, limits = {}, server }: Adjustable): SavedSettings {
  return {
    rules: faults.rules.filter((rule): rule is FaultRuleData => typeof rule.match !== 'function'),
    broken: faults.broken,
    latencyMs: faults.latencyMs,
    limits,
    ...(server === undefined ? {} : { server: server.counters }),
  }
}
