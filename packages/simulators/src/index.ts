export type { ApnsSimulator } from './apns/apns.js'
export type { ApnsDevice } from './apns/device.js'
export type { SimulatorCounters } from './counters.js'
export { type DevInboxDeps, type DevSession, devInbox } from './dev-inbox.js'
export type { FaultMatch } from './fault-match.js'
export { type FaultRuleData, FaultRuleInvalid, parseFaultRule } from './fault-rules.js'
export type { FaultReply, FaultRule, Faults } from './faults.js'
export type { FcmDevice } from './fcm/device.js'
export type { FcmSimulator } from './fcm/fcm.js'
export type { HttpsCounters, HttpsServer } from './https-server.js'
export type { Inbox, SimulatedMessage, SimulatedProvider } from './inbox.js'
export type { SmsSimulator } from './sms.js'
export type { SmtpSimulator } from './smtp.js'
export {
  type SimulatorLimits,
  type Simulators,
  type StartSimulatorsOptions,
  startSimulators,
} from './start.js'
export type { SimulatorsState } from './state.js'
export type { WebhookSimulator } from './webhook.js'
export type { PushSubscriptionJson, WebPushDevice } from './webpush/device.js'
export type { WebPushSimulator } from './webpush/webpush.js'
