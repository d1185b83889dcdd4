import { mock } from 'node:test'
import fc from 'fast-check'
import t from 'tap'
import type { Channel, Subscriber } from '../src/stream/channel.js'
import type { ChannelSpec } from '../src/stream/channel-spec.js'
import type { EncodedFrame } from '../src/stream/encoded-frame.js'
import { type Attachment, Hub } from '../src/stream/hub.js'
import type { Position, ResetReason } from '../src/stream/recovery.js'
import { live, SimulatedStream } from './simulated-stream.js'

const SUBJECTS = ['rt.acme.room.a', 'rt.acme.room.b']
const MAX_PER_SUBJECT = 6
const TICK_MS = 1_000

/** A client that checks all it gets against what the stream truly holds. */
class Client implements Subscriber {
  readonly subject: string
  readonly resets: ResetReason[] = []
  cursor: Position | undefined
  attached: Channel | undefined
  /** Goes up with every connection, so that an answer to an earlier one is known. */
  generation = 0
  /** It was shown something behind what is gone: a reset must come. */
  owed = false
  readonly #stream: SimulatedStream

  constructor(subject: string, stream: SimulatedStream) {
    this.subject = subject
    this.#stream = stream
  }

  join(attachment: Attachment): Subscriber {
    const { outcome, offset, epoch, channel, reason } = attachment
    if (outcome === 'recovered' && (offset !== this.cursor?.offset || epoch !== this.cursor.epoch)) {
      throw new Error('recovered from another position than was asked')
    }
    if (outcome === 'fresh' && this.cursor !== undefined) throw new Error('a cursor was not looked at')
    if (outcome === 'reset') this.resets.push(reason ?? 'unknown')
    this.owed = false
    this.attached = channel
    this.cursor = { epoch, offset }
    for (const frame of attachment.frames) this.deliver(channel, frame)
    return this
  }

  deliver(channel: Channel, frame: EncodedFrame): void {
    const { cursor } = this
    if (cursor === undefined) throw new Error('nobody is there')
    if (channel.epoch !== cursor.epoch) throw new Error('a frame of another epoch without a reset')
    const expected = this.#next()
    // a stream made anew shows at the next look at its head: until then nothing can be expected, but a reset must come
    const skipped = this.#stream.evicted(this.subject, cursor.offset, frame.sequence)
    // the first that comes after evicted ones hides them: that must be told by the next turn of the clock
    if (skipped) this.owed = true
    if (frame.sequence !== expected && !skipped && cursor.epoch === this.#stream.epoch) {
      throw new Error(`after ${cursor.offset} came ${frame.sequence} instead of ${expected}`)
    }
    this.cursor = { epoch: cursor.epoch, offset: frame.sequence }
  }

  reset(channel: Channel, reason: ResetReason): void {
    this.owed = false
    this.resets.push(reason)
    this.cursor = { epoch: channel.epoch, offset: channel.position }
  }

  /** Takes the channel's own position, as heartbeats do. */
  beat(): void {
    if (this.attached !== undefined) {
      this.cursor = { epoch: this.attached.epoch, offset: this.attached.position }
    }
  }

  /** Whether it was given everything there is, or told that it was not. */
  get current(): boolean {
    return !this.owed && this.cursor?.epoch === this.#stream.epoch && this.#next() === undefined
  }

  /** What comes next of what was ever stored, evicted or not. */
  #next(): number | undefined {
    const { cursor } = this
    if (cursor === undefined) return undefined
    return this.#stream.truth
      .get(cursor.epoch)
      ?.find(({ subject, sequence }) => subject === this.subject && sequence > cursor.offset)?.sequence
  }
}

class World {
  now = 0
  readonly stream: SimulatedStream
  readonly clients: Client[]
  hub: Hub
  failure: unknown
  readonly #under = new Set<Promise<void>>()

  constructor(maxPerSubject: number) {
    this.stream = new SimulatedStream(maxPerSubject)
    this.clients = [0, 1, 2, 3].map((n) => new Client(SUBJECTS[n % 2] as string, this.stream))
    this.hub = this.#node()
  }

  /** As small as can be, so that memory, linger and checks all matter within a few steps. */
  #node(): Hub {
    const options = {
      ringFrames: 4,
      ringBytes: 1_000,
      lingerMs: 3 * TICK_MS,
      firstCheckMs: TICK_MS,
      checkMs: 4 * TICK_MS,
      now: () => this.now,
    }
    const hooks = {
      onDelivered: () => undefined,
      onGap: () => undefined,
      onReset: () => undefined,
      onRefused: () => undefined,
    }
    return new Hub(this.stream, options, hooks)
  }

  attach(client: Client): void {
    if (client.attached !== undefined) return
    const generation = ++client.generation
    const work = this.hub
      .attach(specOf(client.subject), client.cursor, (attachment) => {
        if (client.generation !== generation) return undefined
        return client.join(attachment)
      })
      .catch((error: { code?: string; cause?: unknown }) => {
        // the client asks again later; what it found wrong itself is a failure
        if (error.cause instanceof Error && !/away|failed/.test(error.cause.message))
          this.failure ??= error.cause
        if (error.code !== 'UNAVAILABLE') this.failure ??= error
      })
      .finally(() => this.#under.delete(work))
    this.#under.add(work)
  }

  detach(client: Client): void {
    client.generation++
    if (client.attached !== undefined) this.hub.detach(client.attached, client)
    client.attached = undefined
  }

  /** The node goes, and its clients come to a new one that knows nothing. */
  async replaceNode(): Promise<void> {
    for (const client of this.clients) this.detach(client)
    const old = this.hub
    this.hub = this.#node()
    this.stream.flying.length = 0
    const gone = old[Symbol.asyncDispose]()
    for (const question of this.stream.questions.splice(0)) question.fail()
    await this.turn()
    void gone
  }

  async tick(ms = TICK_MS): Promise<void> {
    this.now += ms
    mock.timers.tick(ms)
    await this.turn()
  }

  /** Whatever can go on without the network goes on. */
  async turn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    if (this.failure !== undefined) throw this.failure
  }

  async answerAll(): Promise<void> {
    for (let round = 0; round < 200 && this.stream.questions.length > 0; round++) {
      for (const question of this.stream.questions.splice(0)) {
        question.compute()
        question.answer?.()
      }
      await this.turn()
    }
  }

  /** The network is whole again: after the time of a check everybody must have everything. */
  async heal(): Promise<void> {
    this.stream.reconnect()
    for (let round = 0; round < 12; round++) {
      await this.answerAll()
      for (const client of this.clients) this.attach(client)
      await this.answerAll()
      await this.tick()
    }
    await this.answerAll()
    for (const client of this.clients) {
      if (client.attached === undefined) throw new Error('a client could not come back')
      if (!client.current)
        throw new Error(`silence: ${JSON.stringify(client.cursor)} is all that ${client.subject} has`)
    }
  }
}

function specOf(storedSubject: string): ChannelSpec {
  return { name: storedSubject, tag: 'tagg', storedSubject, liveSubject: live(storedSubject) }
}

type Step = fc.AsyncCommand<object, World>

function command(name: string, run: (world: World) => void | Promise<void>): Step {
  return {
    check: () => true,
    run: async (_model, world) => {
      await run(world)
      await world.turn()
    },
    toString: () => name,
  }
}

const at = fc.nat(1_000)
const pick = <T>(items: readonly T[], n: number) => items[n % Math.max(1, items.length)]

const network: fc.Arbitrary<Step>[] = [
  at.map((n) => command(`store ${n}`, ({ stream }) => stream.store(SUBJECTS[n % 2] as string))),
  at.map((n) => command(`store ${n}`, ({ stream }) => stream.store(SUBJECTS[n % 2] as string))),
  fc
    .tuple(at, fc.boolean())
    .map(([n, again]) =>
      command(`deliver ${n} ${again}`, ({ stream }) =>
        stream.deliver(n % Math.max(1, stream.flying.length), again),
      ),
    ),
  at.map((n) =>
    command(`deliver ${n}`, ({ stream }) => stream.deliver(n % Math.max(1, stream.flying.length), false)),
  ),
  at.map((n) =>
    command(`lose ${n}`, ({ stream }) => void stream.flying.splice(n % Math.max(1, stream.flying.length), 1)),
  ),
  at.map((n) => command(`compute ${n}`, ({ stream }) => pick(stream.questions, n)?.compute())),
  at.map((n) =>
    command(`answer ${n}`, ({ stream }) => {
      const question = pick(stream.questions, n)
      if (question === undefined) return
      question.compute()
      question.answer?.()
      stream.questions.splice(stream.questions.indexOf(question), 1)
    }),
  ),
  fc.constant(command('answer all', (world) => world.answerAll())),
]
const clients: fc.Arbitrary<Step>[] = [
  at.map((n) => command(`attach ${n % 4}`, (world) => world.attach(pick(world.clients, n) as Client))),
  at.map((n) => command(`attach ${n % 4}`, (world) => world.attach(pick(world.clients, n) as Client))),
  at.map((n) => command(`detach ${n % 4}`, (world) => world.detach(pick(world.clients, n) as Client))),
  at.map((n) => command(`beat ${n % 4}`, ({ clients }) => pick(clients, n)?.beat())),
  fc.constant(command('time', (world) => world.tick())),
]
const faults: fc.Arbitrary<Step>[] = [
  at.map((n) =>
    command(
      `fail ${n}`,
      ({ stream }) => void stream.questions.splice(n % Math.max(1, stream.questions.length), 1)[0]?.fail(),
    ),
  ),
  fc.nat(4).map((n) => command(`evict ${n}`, ({ stream }) => stream.evict(n))),
  fc.constant(command('disconnect', ({ stream }) => stream.disconnect())),
  fc.constant(command('reconnect', ({ stream }) => stream.reconnect())),
  fc.constant(command('reconnect', ({ stream }) => stream.reconnect())),
  fc.nat(5).map((n) => command(`restart ${n}`, ({ stream }) => stream.restart(n))),
  fc.constant(command('recreate', ({ stream }) => stream.recreate())),
  fc.constant(command('another node', (world) => world.replaceNode())),
  fc.constant(command('much time', (world) => world.tick(9_000))),
]

async function holds(
  steps: readonly fc.Arbitrary<Step>[],
  options: { maxPerSubject: number; numRuns: number },
  verdict: (world: World) => boolean = () => true,
): Promise<void> {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
  try {
    await fc.assert(
      fc.asyncProperty(fc.commands([...steps], { maxCommands: 120, size: 'max' }), async (commands) => {
        const world = new World(options.maxPerSubject)
        try {
          await fc.asyncModelRun(() => ({ model: {}, real: world }), commands)
          await world.heal()
          return verdict(world)
        } finally {
          for (const question of world.stream.questions.splice(0)) question.fail()
          await world.hub[Symbol.asyncDispose]()
        }
      }),
      { numRuns: options.numRuns },
    )
  } finally {
    mock.timers.reset()
  }
}

t.test('whatever is lost, doubled, late or out of order, nobody is even told', async (t) => {
  await holds([...network, ...clients], { maxPerSubject: 1_000, numRuns: 400 }, ({ clients }) =>
    clients.every(({ resets }) => resets.length === 0),
  )
  t.pass('400 runs')
})

t.test(
  'whatever fails, is evicted, restarts or begins anew, each frame comes once and in order, or a reset',
  async (t) => {
    await holds([...network, ...network, ...clients, ...clients, ...faults], {
      maxPerSubject: MAX_PER_SUBJECT,
      numRuns: 1_500,
    })
    t.pass('1,500 runs')
  },
)
