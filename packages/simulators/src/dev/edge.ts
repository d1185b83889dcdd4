import type { SimulatedProvider } from '../inbox.js'

/** An address that nothing is sent to any more. */
export interface SuppressedAddress {
  kind: string
  address: string
  reason: string
  detail: string | null
}

/** What the page may have done at Carillon with the installation's own key. All of it may throw. */
export interface DevEdge {
  /** Why a notification came: text to paste, and the same as data. Undefined when nothing is known of it. */
  explain(notificationId: string): Promise<{ text: string; data: unknown } | undefined>
  /** Its deliveries, each with what happened to it in the order of time. */
  deliveries(notificationId: string): Promise<unknown>
  /** A mail that came back, as a mail server hands it in. */
  handInMail(mail: string): Promise<{ outcome: string; detail: string | null }>
  suppressions(): Promise<SuppressedAddress[]>
  liftSuppression(kind: string, address: string): Promise<void>
  /** The provider works again: its account is used at once and its devices are known again. */
  mended(provider: SimulatedProvider): Promise<void>
}
