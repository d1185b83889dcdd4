import { CarillonError } from '@carillon/service'
import { Channel, type Subscriber } from './channel.js'
import type { ChannelHooks, ChannelSpec } from './channel-spec.js'
import { conclude, look } from './comparison.js'
import type { EncodedFrame } from './encoded-frame.js'
import type { LiveSource } from './live-source.js'
import type { Position, ResetReason } from './recovery.js'
import { resume } from './resume.js'

/** The stream can't be asked at this moment; the client may try again shortly. */
export class HubUnavailable extends CarillonError {
  override readonly name = 'HubUnavailable'

  constructor(cause?: unknown) {
    super('UNAVAILABLE', 'The mesh is not reachable at this moment.', { cause })
  }
}

/** What a client gets when it joins a channel. */
export interface Attachment {
  channel: Channel
  epoch: string
  /** Where `frames` begin: the client's own position when it was recovered, else the channel's. */
  offset: number
  /** What the client has missed, in order. */
  frames: readonly EncodedFrame[]
  outcome: 'fresh' | 'recovered' | 'reset'
  reason?: ResetReason
}

export interface HubOptions {
  ringFrames: number
  ringBytes: number
  lingerMs: number
  firstCheckMs: number
  checkMs: number
  now: () => number
}

interface Entry {
  channel: Channel
  opened: Promise<void>
  ready: boolean
  checkAt: number
}

const ATTACH_TIMEOUT_MS = 8_000
const SETTLE_PAUSE_MS = 250
const TICK_MS = 1_000

/** The channels of this node. Opens one when its first client comes and closes it some time after the last one left. */
export class Hub implements AsyncDisposable {
  readonly #source: LiveSource
  readonly #options: HubOptions
  readonly #hooks: ChannelHooks
  readonly #entries = new Map<string, Entry>()
  readonly #timer: NodeJS.Timeout
  readonly #stopListening: () => void
  #settling: Promise<void> | undefined
  /** Another reconnection came while channels were being compared. */
  #unsettled = false
  #closed = false

  constructor(source: LiveSource, options: HubOptions, hooks: ChannelHooks) {
    this.#source = source
    this.#options = options
    this.#hooks = hooks
    this.#timer = setInterval(() => this.#tick(), Math.min(TICK_MS, options.firstCheckMs))
    this.#stopListening = source.onReconnect(() => this.#settle())
  }

  get channels(): number {
    return this.#entries.size
  }

  /** What is wrong, or undefined. */
  problem(): string | undefined {
    if (!this.#source.connected) return 'not connected to NATS'
    return this.#settling === undefined ? undefined : 'checking every channel after a reconnection'
  }

  /**
   * Brings a client into a channel. `join` is called once, in the same turn in which the client becomes a
   * subscriber, so that nothing comes between what it missed and what follows; it gives undefined when the client
   * has left meanwhile.
   * @throws HubUnavailable
   */
  async attach(
    spec: ChannelSpec,
    from: Position | 'unknown' | undefined,
    join: (attachment: Attachment) => Subscriber | undefined,
  ): Promise<void> {
    if (!this.#source.connected || this.#closed) throw new HubUnavailable()
    const entry = this.#open(spec)
    const { channel } = entry
    channel.holds++
    channel.idleSince = undefined
    let late = false
    try {
      await within(
        ATTACH_TIMEOUT_MS,
        // who was told that it did not work must not find itself in the channel later
        this.#attach(entry, from, (attachment) => (late ? undefined : join(attachment))),
      )
    } catch (error) {
      throw error instanceof HubUnavailable ? error : new HubUnavailable(error)
    } finally {
      late = true
      channel.holds--
      this.#noteIdle(channel)
    }
  }

  detach(channel: Channel, subscriber: Subscriber): void {
    channel.subscribers.delete(subscriber)
    this.#noteIdle(channel)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    clearInterval(this.#timer)
    this.#stopListening()
    for (const { channel } of this.#entries.values()) channel.close()
    this.#entries.clear()
    await this.#settling
  }

  async #attach(
    entry: Entry,
    from: Position | 'unknown' | undefined,
    join: (attachment: Attachment) => Subscriber | undefined,
  ): Promise<void> {
    const { channel } = entry
    await entry.opened
    await this.#settling
    const attachment = await resume(channel, from, () => this.#compare([channel]))
    const subscriber = join(attachment)
    if (subscriber !== undefined) channel.subscribers.add(subscriber)
  }

  #open(spec: ChannelSpec): Entry {
    const known = this.#entries.get(spec.storedSubject)
    if (known !== undefined) return known
    const channel = new Channel(spec, this.#source, this.#options, this.#hooks)
    const entry: Entry = {
      channel,
      opened: channel.open(),
      ready: false,
      checkAt: Number.POSITIVE_INFINITY,
    }
    this.#entries.set(spec.storedSubject, entry)
    entry.opened.then(
      () => {
        entry.ready = true
        entry.checkAt = this.#options.now() + this.#options.firstCheckMs
      },
      () => this.#close(entry),
    )
    return entry
  }

  #close(entry: Entry): void {
    entry.channel.close()
    if (this.#entries.get(entry.channel.spec.storedSubject) === entry) {
      this.#entries.delete(entry.channel.spec.storedSubject)
    }
  }

  #noteIdle(channel: Channel): void {
    if (channel.subscribers.size === 0 && channel.holds === 0) channel.idleSince = this.#options.now()
  }

  #tick(): void {
    const now = this.#options.now()
    const due: Entry[] = []
    for (const entry of this.#entries.values()) {
      const { idleSince } = entry.channel
      if (idleSince !== undefined && now - idleSince >= this.#options.lingerMs) this.#close(entry)
      else if (entry.ready && (now >= entry.checkAt || entry.channel.unsure)) due.push(entry)
    }
    if (this.#settling !== undefined || !this.#source.connected) return
    // what could not be proven stays so until the next turn
    this.#prove().catch(() => undefined)
    if (due.length > 0) {
      this.#check(due).catch(() => {
        for (const entry of due) entry.checkAt = now + this.#options.firstCheckMs
      })
    }
  }

  /** One head proves all channels that got a message whose predecessor is not kept any more. */
  async #prove(): Promise<void> {
    const places = [...this.#entries.values()].flatMap(({ channel }) => {
      const place = channel.unproven
      return place === undefined ? [] : [{ channel, place }]
    })
    if (places.length === 0) return
    const head = await this.#source.head()
    await Promise.all(places.map(({ channel, place }) => channel.prove(place, head)))
  }

  async #check(entries: readonly Entry[]): Promise<void> {
    const next = this.#options.now() + this.#options.checkMs
    // spread, so that channels opened together are not read together for ever
    for (const entry of entries) entry.checkAt = next + Math.random() * (this.#options.checkMs / 4)
    await this.#compare(entries.map(({ channel }) => channel))
  }

  async #compare(channels: readonly Channel[]): Promise<void> {
    const head = await this.#source.head()
    const found = await Promise.all(channels.map((channel) => look(channel, head)))
    const after = await this.#source.head()
    await Promise.all(found.map((one, index) => one && conclude(channels[index] as Channel, one, after)))
  }

  /** After a reconnection nothing is certain: compares every channel with the stream until that has succeeded. */
  #settle(): void {
    this.#unsettled = true
    this.#settling ??= this.#settleAll().finally(() => {
      this.#settling = undefined
    })
  }

  async #settleAll(): Promise<void> {
    while (this.#unsettled && !this.#closed) {
      this.#unsettled = false
      // what is asked while a connection is down is only answered by its timeout
      if (!this.#source.connected) return
      try {
        // first the subscriptions must be back, else what comes between the two is missed
        await this.#source.flush()
        await this.#check([...this.#entries.values()].filter(({ ready }) => ready))
      } catch {
        this.#unsettled = true
        await new Promise((resolve) => setTimeout(resolve, SETTLE_PAUSE_MS))
      }
    }
  }
}

async function within(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new HubUnavailable()), ms)
  })
  try {
    await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
