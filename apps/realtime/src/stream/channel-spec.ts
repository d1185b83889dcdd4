import type { ResetReason } from './recovery.js'

/** Which channel it is, for clients and in the stream. */
export interface ChannelSpec {
  /** As clients call it. */
  name: string
  tag: string
  storedSubject: string
  liveSubject: string
}

/** How much of its newest a channel keeps in memory. */
export interface ChannelLimits {
  ringFrames: number
  ringBytes: number
}

/** What is said of a channel to whoever counts and logs. Must not throw. */
export interface ChannelHooks {
  onDelivered(frames: number, subscribers: number): void
  onGap(spec: ChannelSpec): void
  onReset(spec: ChannelSpec, reason: ResetReason, subscribers: number): void
  onRefused(spec: ChannelSpec, sequence: number): void
}
