export { checkCredentials } from './check-credentials.js'
export type { CredentialCheck } from './check-credentials-outcome.js'
export { masterKeyId, openCredentials, type SealContext, sealCredentials } from './credentials.js'
export { ChannelError, type ChannelErrorCode } from './errors.js'
export type { Fitted } from './fit.js'
export { fit } from './fit-provider.js'
export { provenDelivery } from './mail-report/proven-delivery.js'
export { readMailReport } from './mail-report/read-mail-report.js'
export type { BounceCause, MailReport, ReportSubject } from './mail-report/report.js'
export {
  type Action,
  type Address,
  type LiveActivity,
  type Message,
  type Outgoing,
  type OutgoingTo,
  PROVIDERS,
  type Provider,
  providerOf,
} from './message.js'
export { type ReceiptClaims, signReceiptToken, verifyReceiptToken } from './receipt-token.js'
export {
  createRegistry,
  type OpenSender,
  openSender,
  type Registry,
  type RegistryOptions,
} from './registry.js'
export type { Sender, TopicChange } from './sender.js'
export type { ChannelSettings, DialAddress, Timeouts } from './settings.js'
export { isSignedByTwilio, readSmsNews, type SmsFailure, type SmsNews } from './sms/callback.js'
export { isPhoneNumber } from './sms/credentials.js'
export {
  type BounceClaims,
  type BouncedDelivery,
  bounceLocalPart,
  readBounceAddress,
  tenantMark,
} from './smtp/bounce-address.js'
export {
  signUnsubscribeToken,
  type UnsubscribeClaims,
  verifyUnsubscribeToken,
} from './unsubscribe-token.js'
export type { Verdict } from './verdict.js'
