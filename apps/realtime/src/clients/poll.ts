import type { Holder } from '../access/standing.js'
import type { Channel, Subscriber } from '../stream/channel.js'
import type { EncodedFrame } from '../stream/encoded-frame.js'
import type { Attachment, Hub } from '../stream/hub.js'
import type { LatestSubscriber } from '../stream/latest.js'
import type { ResetReason } from '../stream/recovery.js'
import type { Client, Connections } from './connections.js'
import { comings, Positions } from './positions.js'

export interface PollOptions {
  holder: Holder
  /** How long to wait when there is nothing to say; 0 to answer at once. */
  waitMs: number
}

export interface PollDeps {
  hub: Pick<Hub, 'detach'>
  connections: Connections
  onClosed: () => void
}

/** An answer is not made larger than this by another event: the next one goes on from there. */
const MAX_ANSWER_BYTES = 1024 * 1024

/** One request that waits for events. The next one continues with its `last_event_id`, so nothing falls between two. */
export class Poll implements Client, Subscriber, LatestSubscriber {
  readonly transport = 'poll'
  /** The answer's JSON; undefined when the client may not be here any more. Always resolves. */
  readonly answer: Promise<string | undefined>
  readonly #options: PollOptions
  readonly #deps: PollDeps
  readonly #positions = new Positions()
  readonly #events: string[] = []
  readonly #newest = new Map<string, string>()
  readonly #resets: { channel: string; reason: ResetReason }[] = []
  readonly #cancels: (() => void)[] = []
  #channels: ReturnType<typeof comings> = {}
  /** What came while other channels were still joining. */
  #early: (() => void)[] | undefined = []
  #bytes = 0
  /** Set when it has to go before it could begin. */
  #leaving = false
  #answered = false
  #closed = false
  #resolve: (answer: string | undefined) => void = () => undefined

  constructor(options: PollOptions, deps: PollDeps) {
    this.#options = options
    this.#deps = deps
    this.answer = new Promise((resolve) => {
      this.#resolve = resolve
    })
    deps.connections.add(this)
  }

  get closed(): boolean {
    return this.#closed
  }

  get holder(): Holder {
    return this.#options.holder
  }

  /** Takes part in a channel; its frames wait until `begin`. */
  join(attachment: Attachment): Subscriber | undefined {
    if (this.#closed) return undefined
    this.#positions.set(attachment.channel, { epoch: attachment.epoch, offset: attachment.offset })
    return this
  }

  /**
   * Answers with what was missed, or waits. `listen` joins the channels without history and gives the way out.
   */
  begin(attachments: readonly Attachment[], listen: () => () => void): void {
    if (this.#closed) return
    this.#channels = comings(attachments)
    this.#cancels.push(listen())
    for (const { channel, outcome, reason } of attachments) {
      if (outcome === 'reset') this.#resets.push({ channel: channel.name, reason: reason ?? 'unknown' })
    }
    for (const { channel, frames } of attachments) {
      for (const frame of frames) this.#take(channel, frame)
    }
    const early = this.#early ?? []
    this.#early = undefined
    for (const run of early) run()
    if (this.#full || this.#leaving || this.#options.waitMs <= 0) this.#finish()
    else this.#cancels.push(this.#deps.connections.wheel.after(this.#options.waitMs, () => this.#finish()))
  }

  deliver(channel: Channel, frame: EncodedFrame): void {
    this.#do(() => this.#take(channel, frame))
  }

  reset(channel: Channel, reason: ResetReason): void {
    const position = { epoch: channel.epoch, offset: channel.position }
    this.#do(() => {
      if (this.#bytes > MAX_ANSWER_BYTES) return
      this.#positions.set(channel, position)
      this.#resets.push({ channel: channel.name, reason })
    })
  }

  deliverLatest(key: string, frame: EncodedFrame): void {
    this.#do(() => this.#newest.set(key, eventText(frame)))
  }

  beat(): void {
    // it is answered before anybody asks for a sign of life
  }

  leave(): void {
    this.#leaving = true
    this.#finish()
  }

  dismiss(): void {
    this.close()
  }

  /** The client is gone, or may not be here any more. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const cancel of this.#cancels) cancel()
    for (const channel of this.#positions.channels) this.#deps.hub.detach(channel, this)
    this.#deps.connections.remove(this)
    this.#deps.onClosed()
    this.#resolve(undefined)
  }

  get #full(): boolean {
    return this.#events.length > 0 || this.#resets.length > 0 || this.#newest.size > 0
  }

  /** Runs it, and answers when this turn of the loop has brought everything it brings. */
  #do(run: () => void): void {
    if (this.#early !== undefined) {
      this.#early.push(run)
      return
    }
    if (this.#answered) return
    const empty = !this.#full
    run()
    if (empty) setImmediate(() => this.#finish())
  }

  #take(channel: Channel, frame: EncodedFrame): void {
    // what does not go in comes with the next answer: no position goes beyond it
    if (this.#bytes > MAX_ANSWER_BYTES) return
    this.#bytes += frame.bytes
    this.#positions.set(channel, { epoch: channel.epoch, offset: frame.sequence })
    this.#events.push(eventText(frame, this.#positions.cursor()))
  }

  #finish(): void {
    if (this.#answered || this.#closed || this.#early !== undefined) return
    this.#answered = true
    if (this.#bytes <= MAX_ANSWER_BYTES) this.#positions.catchUp()
    const events = [...this.#events, ...this.#newest.values()].join(',')
    const resets = this.#resets.length === 0 ? '' : `,"reset":${JSON.stringify(this.#resets)}`
    this.#resolve(
      `{"events":[${events}],"last_event_id":"${this.#positions.cursor()}",` +
        `"channels":${JSON.stringify(this.#channels)}${resets}}`,
    )
    this.close()
  }
}

function eventText(frame: EncodedFrame, id?: string): string {
  const named = id === undefined ? '' : `"id":"${id}",`
  return `{${named}"event":"${frame.eventType}","data":${frame.eventData}}`
}
