import type { Socket } from 'node:net'
import type { Holder } from '../access/standing.js'
import type { Channel, Subscriber } from '../stream/channel.js'
import type { EncodedFrame } from '../stream/encoded-frame.js'
import type { Attachment, Hub } from '../stream/hub.js'
import type { LatestSubscriber } from '../stream/latest.js'
import type { ResetReason } from '../stream/recovery.js'
import type { Client, Connections } from './connections.js'
import { Output } from './output.js'
import { comings, Positions } from './positions.js'

export interface SseOptions {
  holder: Holder
  heartbeatEvents: boolean
  rotateAfterMs: number
  expiresInMs: number
  maxQueuedBytes: number
}

export interface SseDeps {
  hub: Hub
  connections: Connections
  onSlow: () => void
  onClosed: () => void
}

const COMMENT = Buffer.from(':\n\n')
/** A socket that does not take the end of its stream is destroyed after this. */
const LINGER_MS = 2_000

/** One EventSource. Every id it sends is the cursor over all its channels at that event. */
export class SseStream implements Client, Subscriber, LatestSubscriber {
  // what each message needs comes first: together in the processor's cache
  readonly #output: Output
  /** What came while other channels were still joining. */
  #early: (() => void)[] | undefined = []
  /** In one channel alone. */
  #alone = false
  readonly transport = 'sse'
  readonly #socket: Socket
  readonly #options: SseOptions
  readonly #deps: SseDeps
  readonly #positions = new Positions()
  readonly #cancels: (() => void)[] = []
  #sentCursor = ''
  #ended = false
  #closed = false

  constructor(socket: Socket, options: SseOptions, deps: SseDeps) {
    this.#socket = socket
    this.#options = options
    this.#deps = deps
    this.#output = new Output(socket, {
      flusher: deps.connections.flusher,
      maxBytes: options.maxQueuedBytes,
      onSlow: () => this.#slow(),
    })
    socket.setTimeout(0)
    socket.setNoDelay(true)
    this.listen()
    deps.connections.add(this)
    const { wheel } = deps.connections
    this.#cancels.push(
      wheel.after(options.rotateAfterMs, () => this.#end()),
      wheel.after(options.expiresInMs, () => this.#end(Buffer.from('event: expired\ndata: {}\n\n'))),
    )
    // it may have gone while its token was verified; no event tells of that any more
    if (socket.destroyed) this.#close()
  }

  /** Hears of the socket's end. */
  listen(): void {
    const close = () => this.#close()
    this.#socket.on('error', close)
    this.#socket.on('close', close)
  }

  get closed(): boolean {
    return this.#closed || this.#ended
  }

  /** Takes part in a channel; its frames wait until `begin`. */
  join(attachment: Attachment): Subscriber | undefined {
    if (this.closed) return undefined
    this.#positions.set(attachment.channel, { epoch: attachment.epoch, offset: attachment.offset })
    return this
  }

  /**
   * Sends the head, `ready`, what was missed, and from then on what comes. `listen` joins the channels without history
   * and gives the way out.
   */
  begin(head: string, attachments: readonly Attachment[], listen: () => () => void): void {
    this.#alone = this.#positions.size === 1
    const channels = comings(attachments)
    const retryMs = 1_000 + Math.floor(Math.random() * 3_000)
    this.#output.push(
      Buffer.from(
        `${head}retry: ${retryMs}\nid: ${this.#positions.cursor()}\nevent: ready\ndata: ${JSON.stringify({ channels })}\n\n`,
      ),
    )
    for (const { channel, outcome, reason } of attachments) {
      if (outcome === 'reset') this.#pushReset(channel, reason ?? 'unknown')
    }
    for (const { channel, frames } of attachments) {
      for (const frame of frames) this.#push(channel, frame)
    }
    const early = this.#early ?? []
    this.#early = undefined
    for (const run of early) run()
    this.#cancels.push(listen())
  }

  deliver(channel: Channel, frame: EncodedFrame): void {
    if (this.#early !== undefined) this.#early.push(() => this.#push(channel, frame))
    else this.#push(channel, frame)
  }

  deliverLatest(key: string, frame: EncodedFrame): void {
    this.#output.pushNewest(key, frame.event)
  }

  reset(channel: Channel, reason: ResetReason): void {
    // the position of now: what comes until it is said belongs behind it
    const position = { epoch: channel.epoch, offset: channel.position }
    const run = () => {
      this.#positions.set(channel, position)
      this.#pushReset(channel, reason)
    }
    if (this.#early !== undefined) this.#early.push(run)
    else run()
  }

  beat(): void {
    if (this.#early !== undefined || this.#ended) return
    // all that was delivered is in the output, so the channels' own positions hold for this client
    this.#positions.catchUp()
    const cursor = this.#positions.cursor()
    if (this.#options.heartbeatEvents) {
      this.#output.push(Buffer.from(`id: ${cursor}\nevent: heartbeat\ndata: {}\n\n`))
    } else {
      this.#output.push(cursor === this.#sentCursor ? COMMENT : Buffer.from(`id: ${cursor}\n\n`))
    }
    this.#sentCursor = cursor
  }

  get holder(): Holder {
    return this.#options.holder
  }

  /** The EventSource comes back, and is refused for good then. */
  dismiss(): void {
    this.#end()
  }

  leave(spreadMs: number): void {
    this.#end(Buffer.from(`retry: ${500 + Math.floor(Math.random() * (spreadMs + 500))}\n\n`))
  }

  /** Leaves the socket to an ordinary answer: nothing was sent yet. */
  withdraw(): void {
    this.#ended = true
    this.#close()
  }

  #push(channel: Channel, frame: EncodedFrame): void {
    // of one channel alone the frame knows the id, and each beat takes the channel's own position
    if (this.#alone) {
      this.#output.push(frame.event)
      return
    }
    this.#positions.set(channel, { epoch: channel.epoch, offset: frame.sequence })
    this.#output.push(frame.eventWith(this.#positions.cursor()))
  }

  #pushReset(channel: Channel, reason: ResetReason): void {
    const data = JSON.stringify({ channel: channel.name, reason })
    this.#output.push(Buffer.from(`id: ${this.#positions.cursor()}\nevent: reset\ndata: ${data}\n\n`))
  }

  #slow(): void {
    if (this.#ended) return
    this.#deps.onSlow()
    // what is queued would never be read; the cursor of what was read brings the rest
    this.#ended = true
    this.#socket.destroy()
  }

  #end(last?: Buffer): void {
    if (this.#ended) return
    this.#ended = true
    // while it joins its channels, nothing was answered yet that `last` could follow
    this.#output.end(this.#early === undefined ? last : undefined)
    this.#cancels.push(this.#deps.connections.wheel.after(LINGER_MS, () => this.#socket.destroy()))
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#ended = true
    for (const cancel of this.#cancels) cancel()
    for (const channel of this.#positions.channels) this.#deps.hub.detach(channel, this)
    this.#deps.connections.remove(this)
    this.#deps.onClosed()
  }
}
