import type { Outgoing } from './message.js'
import type { Verdict } from './verdict.js'

/** Whose app is to hear, or no longer hear, a topic of the provider. */
export interface TopicChange {
  action: 'subscribe' | 'unsubscribe'
  topic: string
  /** Device tokens; asked of the provider by the thousand. */
  tokens: readonly string[]
}

/**
 * One provider with one set of credentials.
 *
 * Promises: exactly one verdict per message, in the order of the batch; never throws; settles within the batch
 * deadline (`timeouts.batchMs`), also when the peer vanishes; when `signal` aborts, what has no answer yet is
 * `unknown` if it was written and `retry` if it was not. Never tries again by itself. Does not promise that an
 * `unknown` did not arrive. Safe to call concurrently. A message whose address is of another kind is `message`.
 * Disposal waits for what is in flight, closes every connection, and may be repeated.
 */
export interface Sender extends AsyncDisposable {
  readonly provider: string
  /** What the provider counts its quota by, where several credentials share one. */
  readonly quota?: string
  send(batch: readonly Outgoing[], signal: AbortSignal): Promise<Verdict[]>
  /**
   * Of providers that keep topics themselves (FCM): one verdict per token, in order, never throws. Never `unknown`,
   * since the same change can be made twice.
   */
  manageTopic?(change: TopicChange, signal: AbortSignal): Promise<Verdict[]>
}
