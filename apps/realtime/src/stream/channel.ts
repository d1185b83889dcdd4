import type { CoreMessage, CoreSubscription } from '@carillon/jetstream'
import { type Backfill, Backfills, MAX_READ, readAfter } from './backfills.js'
import type { ChannelHooks, ChannelLimits, ChannelSpec } from './channel-spec.js'
import type { Comparable } from './comparison.js'
import { EncodedFrame, type FrameChannel, frameText } from './encoded-frame.js'
import type { LiveSource } from './live-source.js'
import { PUBLISHER, publisherInfo } from './publisher-info.js'
import type { Position, ResetReason, StreamHead } from './recovery.js'
import { Ring } from './ring.js'
import { Timeline } from './timeline.js'

/** Who gets a channel's frames. Called in the socket's read; must not throw. */
export interface Subscriber {
  deliver(channel: Channel, frame: EncodedFrame): void
  /** What the subscriber has is not continued: it must fetch the state again. `channel.position` is the new start. */
  reset(channel: Channel, reason: ResetReason): void
}

/** Reads without progress before a gap counts as lost: a replica may lag for a moment. */
const FRUITLESS_READS = 6
const FRUITLESS_PAUSE_MS = 40
const MAX_EARLY = 1_024

/** One stored channel on this node: its live subscription, its newest frames, and who listens. */
export class Channel implements FrameChannel, Comparable {
  readonly spec: ChannelSpec
  readonly subscribers = new Set<Subscriber>()
  /** Since when nobody listens, milliseconds; undefined while somebody does or is about to. */
  idleSince: number | undefined
  /** Attachments under way: they keep the channel alive. */
  holds = 0
  epoch = ''
  readonly #source: LiveSource
  readonly #hooks: ChannelHooks
  readonly #ring: Ring<EncodedFrame>
  readonly #timeline = new Timeline<EncodedFrame>(0)
  readonly #backfills = new Backfills((offset) => this.#readBack(offset))
  readonly #subscription: CoreSubscription
  /** Messages that came before the start was known. */
  #early: CoreMessage[] | undefined = []
  #filling: Promise<void> | undefined
  #rebasing: Promise<void> | undefined
  /** Sequence of the newest message known. */
  #newest = 0
  /** Before a live message whose predecessor was gone already: what lay between may be gone as well. */
  #unproven = Number.POSITIVE_INFINITY
  /** Why the channel has no position: set until a rebase has succeeded. */
  #lost: ResetReason | undefined
  /** Something came that can't be if all is well: the head must be looked at. */
  #doubted = false
  #closed = false

  constructor(spec: ChannelSpec, source: LiveSource, limits: ChannelLimits, hooks: ChannelHooks) {
    this.spec = spec
    this.#source = source
    this.#hooks = hooks
    this.#ring = new Ring(0, { maxFrames: limits.ringFrames, maxBytes: limits.ringBytes })
    this.#subscription = source.subscribe(spec.liveSubject, (message) => this.#onLive(message))
  }

  get name(): string {
    return this.spec.name
  }

  get tag(): string {
    return this.spec.tag
  }

  /** Something is wrong that nobody is at work on: the channel must be checked soon. */
  get unsure(): boolean {
    if (this.#filling !== undefined || this.#rebasing !== undefined) return false
    return this.#doubted || this.#lost !== undefined || this.#timeline.missing
  }

  /** Everything of this channel up to here went to the subscribers. */
  get position(): number {
    return this.#timeline.position
  }

  /** Frames after `offset` from memory, or undefined when memory does not reach back that far. */
  recent(offset: number): EncodedFrame[] | undefined {
    return this.#ring.since(offset)
  }

  /** Finds the start: from here on every frame is delivered. Live messages wait meanwhile. */
  async open(): Promise<void> {
    await this.#source.flush()
    await this.#base()
  }

  /** Begins again at the present head and tells everybody. Joins a rebase under way. */
  rebase(reason: ResetReason): Promise<void> {
    this.#rebasing ??= this.#rebase(reason).finally(() => {
      this.#rebasing = undefined
    })
    return this.#rebasing
  }

  get settled(): boolean {
    return this.#early === undefined
  }

  get lost(): ResetReason | undefined {
    return this.#lost
  }

  lastStored(): Promise<number> {
    this.#doubted = false
    return this.#source.last(this.spec.storedSubject)
  }

  reach(sequence: number): Promise<void> {
    this.#timeline.expect(sequence)
    return this.#fill()
  }

  advance(sequence: number): void {
    this.#timeline.advance(sequence)
  }

  /**
   * A place after which nothing may have been evicted unseen, to be proven with a head read from now on; undefined when
   * there is none. A live message follows upon the one before it, but says nothing of those that were gone by then.
   */
  get unproven(): Position | undefined {
    return Number.isFinite(this.#unproven) ? { epoch: this.epoch, offset: this.#unproven } : undefined
  }

  /** Takes `head` as the proof, or begins again. */
  async prove(place: Position, head: StreamHead): Promise<void> {
    if (this.epoch !== place.epoch || this.#unproven !== place.offset) return
    this.#unproven = Number.POSITIVE_INFINITY
    if (head.epoch !== place.epoch) return this.rebase('epoch')
    if (head.shrinks && head.firstSequence - 1 > place.offset) return this.rebase('evicted')
  }

  /** Reads what came after `offset`; one read at a time, shared by all who can use it. */
  backfill(offset: number): Promise<Backfill> {
    return this.#backfills.after(offset)
  }

  /** What the stream still keeps after `offset`, whether or not it is complete. Delivers nothing. */
  async kept(offset: number): Promise<EncodedFrame[]> {
    const stored = await this.#source.read(this.spec.storedSubject, offset + 1, MAX_READ)
    return stored
      .map((message) => this.#encode(message.sequence, 0, message.body, message.headers.get(PUBLISHER)))
      .filter(({ json }) => json !== '')
  }

  close(): void {
    this.#closed = true
    this.#subscription.stop()
  }

  async #base(begin: () => void = () => undefined): Promise<void> {
    const head = await this.#source.head()
    const last = await this.#source.last(this.spec.storedSubject)
    const start = Math.max(head.lastSequence, last)
    this.epoch = head.epoch
    this.#timeline.reset(start)
    this.#ring.reset(start)
    this.#backfills.forget()
    this.#doubted = false
    this.#newest = last
    this.#unproven = Number.POSITIVE_INFINITY
    const early = this.#early ?? []
    this.#early = undefined
    begin()
    for (const message of early) this.#onLive(message)
  }

  async #rebase(reason: ResetReason): Promise<void> {
    this.#lost = reason
    this.#early ??= []
    await this.#base(() => {
      this.#lost = undefined
      this.#hooks.onReset(this.spec, reason, this.subscribers.size)
      for (const subscriber of [...this.subscribers]) subscriber.reset(this, reason)
    })
  }

  #onLive(message: CoreMessage): void {
    if (this.#early !== undefined) {
      this.#early.push(message)
      // the newest tell by their predecessor that older ones are missing
      if (this.#early.length > MAX_EARLY) this.#early.splice(0, MAX_EARLY / 2)
      return
    }
    const sequence = message.sequence
    const previous = message.previousSequence
    if (sequence === undefined || previous === undefined) return
    if (sequence <= this.position) {
      // read back already, or a stream that counts anew
      this.#doubted = true
      return
    }
    const frame = this.#encode(sequence, previous, message.body, message.header(PUBLISHER))
    if ((previous < this.#newest || previous === 0) && this.position < this.#unproven) {
      this.#unproven = this.position
    }
    this.#deliver(this.#timeline.live(frame))
    if (this.#timeline.missing) {
      this.#hooks.onGap(this.spec)
      void this.#fill()
    }
  }

  #encode(sequence: number, previous: number, body: Uint8Array, publisher: string | undefined): EncodedFrame {
    const json = frameText(body)
    if (json === undefined) this.#hooks.onRefused(this.spec, sequence)
    return new EncodedFrame(this, { sequence, previous, json: json ?? '', info: publisherInfo(publisher) })
  }

  #deliver(frames: readonly EncodedFrame[]): void {
    let delivered = 0
    for (const frame of frames) {
      this.#newest = frame.sequence
      // a refused frame has its place in the order and nothing to show
      if (frame.json === '') continue
      this.#ring.push(frame)
      delivered++
      for (const subscriber of this.subscribers) subscriber.deliver(this, frame)
    }
    if (delivered > 0) this.#hooks.onDelivered(delivered, this.subscribers.size)
  }

  /** Reads until nothing is missing. Never rejects: while the stream can't be read it goes on trying. */
  #fill(): Promise<void> {
    this.#filling ??= this.#fillGap().finally(() => {
      this.#filling = undefined
    })
    return this.#filling
  }

  async #fillGap(): Promise<void> {
    const epoch = this.epoch
    for (let fruitless = 0; this.#timeline.missing && !this.#closed && this.epoch === epoch; ) {
      const from = this.position
      try {
        const result = await this.#readBack(from)
        if (this.epoch !== epoch || this.#early !== undefined) return
        if ('lost' in result) return await this.rebase(result.lost)
        fruitless = this.position > from ? 0 : fruitless + 1
        if (fruitless >= FRUITLESS_READS) return await this.rebase('evicted')
      } catch {
        // the hub checks every channel when the connection is back
        if (!this.#source.connected) return
        fruitless++
        if (fruitless >= FRUITLESS_READS) return
      }
      if (fruitless > 0) await pause(FRUITLESS_PAUSE_MS * fruitless)
    }
  }

  /** Reads everything after `offset` and takes into the timeline what goes beyond the position. */
  async #readBack(offset: number): Promise<Backfill> {
    const epoch = this.epoch
    const reached = this.position
    const read = await readAfter(this.#source, { subject: this.spec.storedSubject, offset, epoch })
    if ('lost' in read) return read
    if (this.epoch !== epoch) return { lost: 'epoch' }
    let previous = 0
    const frames = read.messages.map(({ sequence, body, headers }) => {
      const frame = this.#encode(sequence, previous, body, headers.get(PUBLISHER))
      previous = sequence
      return frame
    })
    if (this.#early === undefined && offset <= this.position) {
      this.#deliver(this.#timeline.stored(frames))
    }
    const shown = frames.filter(({ json }) => json !== '')
    const covered = Math.max(reached, frames.at(-1)?.sequence ?? 0)
    if (covered >= this.#ring.floor) this.#ring.extendBack(offset, shown)
    return { frames: shown, covered }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
