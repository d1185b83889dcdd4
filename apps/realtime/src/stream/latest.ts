import { HEADERS, latestSubject } from '@carillon/contracts'
import type { CoreMessage, CoreSubscription } from '@carillon/jetstream'
import { EncodedFrame, type FrameChannel, frameText } from './encoded-frame.js'
import type { LiveSource } from './live-source.js'
import { publisherInfo } from './publisher-info.js'

/** Who gets what a `latest` channel says. Called in the socket's read; must not throw. */
export interface LatestSubscriber {
  /** `key` is the channel's and the message's: what waits under the same key need not be sent any more. */
  deliverLatest(key: string, frame: EncodedFrame): void
}

/** A channel without history: what is said is for who listens now, and a newer message of a key replaces the older. */
export interface LatestChannel extends FrameChannel {
  readonly subscribers: Set<LatestSubscriber>
}

/** Most keys of a channel that who comes later is shown at once. */
const MAX_KEYS = 256
/** And most bytes of them: publishers choose the keys, and all of it goes to everybody who comes. */
const MAX_BYTES = 1_000_000
/** A newest message older than this says nothing of now. */
const KEPT_MS = 60_000

class Latest implements LatestChannel {
  readonly name: string
  readonly tag = ''
  readonly epoch = ''
  readonly subscribers = new Set<LatestSubscriber>()
  readonly #newest = new Map<string, { frame: EncodedFrame; at: number }>()
  readonly #now: () => number
  #bytes = 0

  constructor(name: string, now: () => number) {
    this.name = name
    this.#now = now
  }

  /** The newest message of each key, oldest first. */
  newest(): EncodedFrame[] {
    this.#forgetOld()
    return [...this.#newest.values()].map(({ frame }) => frame)
  }

  onMessage(message: CoreMessage): void {
    const json = frameText(message.body)
    if (json === undefined) return
    const key = message.header(HEADERS.key) ?? ''
    const frame = new EncodedFrame(this, {
      sequence: 0,
      previous: 0,
      json,
      info: publisherInfo(message.header(HEADERS.publisher)),
      ...(key === '' ? {} : { key }),
    })
    this.#keep(key, frame)
    const waitsAs = `${this.name} ${key}`
    for (const subscriber of this.subscribers) subscriber.deliverLatest(waitsAs, frame)
  }

  #keep(key: string, frame: EncodedFrame): void {
    this.#forget(key)
    this.#newest.set(key, { frame, at: this.#now() })
    this.#bytes += frame.bytes
    this.#forgetOld()
  }

  /** Oldest first, until what is left is young and small enough. */
  #forgetOld(): void {
    const oldest = this.#now() - KEPT_MS
    for (const [key, { at }] of this.#newest) {
      if (at >= oldest && this.#newest.size <= MAX_KEYS && this.#bytes <= MAX_BYTES) return
      this.#forget(key)
    }
  }

  #forget(key: string): void {
    this.#bytes -= this.#newest.get(key)?.frame.bytes ?? 0
    this.#newest.delete(key)
  }
}

/** The `latest` channels that clients of this node listen to; each is subscribed while somebody does. */
export class LatestChannels {
  readonly #source: LiveSource
  readonly #now: () => number
  readonly #open = new Map<string, { channel: Latest; subscription: CoreSubscription }>()

  constructor(source: LiveSource, now: () => number) {
    this.#source = source
    this.#now = now
  }

  /** Joins a client, and gives what was said last to those who listen already. */
  join(
    tenant: string,
    spec: { name: string; id: string },
    subscriber: LatestSubscriber,
  ): { channel: LatestChannel; newest: readonly EncodedFrame[]; leave: () => void } {
    const subject = latestSubject(tenant, spec.id)
    let entry = this.#open.get(subject)
    if (entry === undefined) {
      const channel = new Latest(spec.name, this.#now)
      const subscription = this.#source.subscribe(subject, (message) => channel.onMessage(message))
      entry = { channel, subscription }
      this.#open.set(subject, entry)
    }
    const { channel, subscription } = entry
    channel.subscribers.add(subscriber)
    return {
      channel,
      newest: channel.newest(),
      leave: () => {
        channel.subscribers.delete(subscriber)
        if (channel.subscribers.size > 0 || this.#open.get(subject)?.channel !== channel) return
        this.#open.delete(subject)
        subscription.stop()
      },
    }
  }
}
