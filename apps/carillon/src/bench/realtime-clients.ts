import { randomInt } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { answerQuestions } from './push-child.js'
import { createSpeaker, type DialectName, type Speaker } from './realtime-dialects.js'
import { Journal } from './realtime-journal.js'

/** The process that holds clients of one server: it opens, counts, drops and comes back as it is asked. */

export type ClientsQuestion =
  | ({ ask: 'open' } & ClientsPlan)
  /** Until each client has had so many messages, on average, since it was opened. */
  | { ask: 'await'; each: number; timeoutMs: number }
  /** Milliseconds from the moment inside each message, since asked last, ascending. */
  | { ask: 'ages' }
  /** Destroys every socket at once and lets each client come back by itself. */
  | { ask: 'drop'; timeoutMs: number }
  /** Of each channel's first messages: what has never come, what has come again. */
  | { ask: 'judge'; channels: Readonly<Record<string, number>>; timeoutMs: number }

export interface ClientsPlan {
  dialect: DialectName
  port: number
  /** Number of the first client: who it is. */
  from: number
  count: number
  own: boolean
  tokenKey: string
  /** The room that everybody is in; absent for none. */
  room?: string
  /** `count` only counts, `journal` notes the number `n` in each message, `clock` the moment in its title. */
  keep: 'count' | 'journal' | 'clock'
}

export interface Opened {
  ms: number
  /** Times that the server asked somebody to come later. */
  refused: number
}

export interface Returned extends Opened {
  /** Milliseconds from the drop until a client was back with what it had missed, ascending. */
  tookMs: number[]
}

export interface Judged {
  lost: number
  doubled: number
  disordered: number
  resets: number
}

const OPENING_AT_A_TIME = 100
/** For all of them. */
const OPEN_TIMEOUT_MS = 180_000
const RECONNECT_MIN_MS = 500
const RECONNECT_MAX_MS = 20_000
/**
 * Connections of one loopback address. Closed ports rest for a minute, also those of the process before this one, and
 * the kernel looks for a free one among them: with thousands taken it costs milliseconds for each connection.
 */
const PER_ADDRESS = 500
const TITLE = /"title":"([\d.]+)"/

/** What any of them reads: with a buffer for each read bursts came a tenth to a quarter slower. */
const readBuffer = Buffer.alloc(65_536)
let clients: BenchClient[] = []
let delivered = 0
let refused = 0
let ages: number[] = []
let wanted: { delivered: number; done: () => void } | undefined
let connections = 0
const firstAddress = randomInt(1 << 16)

class BenchClient {
  readonly journal = new Journal()
  readonly #plan: ClientsPlan
  readonly #speaker: Speaker
  #socket: Socket | undefined
  #attempts = 0

  constructor(plan: ClientsPlan, index: number) {
    const { port, tokenKey, room, keep, own } = plan
    const person = {
      index,
      host: `127.0.0.1:${port}`,
      tokenKey,
      own,
      countOnly: keep === 'count',
      ...(room !== undefined && { room }),
    }
    this.#plan = plan
    this.#speaker = createSpeaker(plan.dialect, person)
  }

  /** Resolves when everything is joined; comes again with a growing pause when it is refused or cut off before. */
  async open(): Promise<void> {
    while (!(await this.#attempt())) {
      refused++
      await this.pause()
    }
    this.#attempts = 0
  }

  /** As the official client waits: full jitter over a doubling span. */
  pause(): Promise<void> {
    const span = Math.min(RECONNECT_MAX_MS, RECONNECT_MIN_MS * 2 ** this.#attempts)
    this.#attempts++
    return sleep(Math.min(RECONNECT_MAX_MS, RECONNECT_MIN_MS + Math.random() * span))
  }

  drop(): void {
    this.#socket?.removeAllListeners()
    this.#socket?.on('error', () => undefined)
    this.#socket?.destroy()
  }

  #attempt(): Promise<boolean> {
    return new Promise((resolve) => {
      const localAddress = nextAddress()
      const socket = connect({
        host: '127.0.0.1',
        port: this.#plan.port,
        localAddress,
        noDelay: true,
        onread: {
          buffer: readBuffer,
          callback(size, buffer) {
            reader.take(Buffer.from(buffer.buffer, buffer.byteOffset, size))
            return true
          },
        },
      })
      this.#socket = socket
      const reader = this.#speaker.open((bytes) => socket.write(bytes), {
        onReady: () => resolve(true),
        onMessage: (channel, text) => this.#note(channel, text),
        onReset: () => this.journal.resets++,
        onRefused: () => socket.destroy(),
      })
      socket.on('error', () => undefined)
      socket.on('close', () => resolve(false))
    })
  }

  #note(channel: string, text: Buffer | string): void {
    delivered++
    if (this.#plan.keep === 'journal') {
      const value = JSON.parse(text.toString())
      this.journal.note(channel, value.n ?? value.data.n)
    } else if (this.#plan.keep === 'clock') {
      const at = TITLE.exec(text.toString())?.[1]
      if (at !== undefined) ages.push(now() - Number(at))
    }
    if (wanted !== undefined && delivered >= wanted.delivered) wanted.done()
  }
}

function nextAddress(): string {
  const address = firstAddress + Math.floor(connections++ / PER_ADDRESS)
  return `127.${1 + ((address >> 16) & 0x7f)}.${(address >> 8) & 0xff}.${1 + (address % 0xfe)}`
}

function now(): number {
  return performance.timeOrigin + performance.now()
}

async function each(work: (client: BenchClient) => Promise<void>, atATime: number): Promise<void> {
  const iterator = clients[Symbol.iterator]()
  const worker = async () => {
    for (const client of iterator) await work(client)
  }
  await Promise.all(Array.from({ length: atATime }, worker))
}

async function open(plan: ClientsPlan): Promise<Opened> {
  clients = Array.from({ length: plan.count }, (_, index) => new BenchClient(plan, plan.from + index))
  const began = performance.now()
  const opening = each((client) => client.open(), OPENING_AT_A_TIME)
  const late = sleep(OPEN_TIMEOUT_MS, undefined, { ref: false }).then(() => {
    throw new Error(`${plan.dialect}: not all clients could connect.`)
  })
  await Promise.race([opening, late])
  return { ms: performance.now() - began, refused }
}

async function untilDelivered(perClient: number, timeoutMs: number): Promise<{ delivered: number }> {
  const target = perClient * clients.length
  if (delivered < target) {
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer)
        wanted = undefined
        resolve()
      }
      const timer = setTimeout(done, timeoutMs)
      wanted = { delivered: target, done }
      stayAwake()
    })
  }
  return { delivered }
}

/** Waking a process is charged to who writes to it, and a server's clients are not on its machine. */
function stayAwake(): void {
  if (wanted !== undefined) setImmediate(stayAwake)
}

async function drop(timeoutMs: number): Promise<Returned> {
  refused = 0
  for (const client of clients) client.drop()
  const began = performance.now()
  const tookMs: number[] = []
  const back = each(async (client) => {
    await client.pause()
    await client.open()
    tookMs.push(performance.now() - began)
  }, clients.length)
  await Promise.race([back, sleep(timeoutMs, undefined, { ref: false })])
  return { ms: performance.now() - began, refused, tookMs: [...tookMs] }
}

/** Waits until nothing is missing any more, or the time is over. */
async function judge(channels: Readonly<Record<string, number>>, timeoutMs: number): Promise<Judged> {
  const giveUpAt = performance.now() + timeoutMs
  for (;;) {
    const verdict = { lost: 0, doubled: 0, disordered: 0, resets: 0 }
    for (const { journal } of clients) {
      for (const [channel, upTo] of Object.entries(channels)) {
        const { lost, doubled } = journal.judge(channel, upTo)
        verdict.lost += lost
        verdict.doubled += doubled
      }
      verdict.disordered += journal.disordered
      verdict.resets += journal.resets
    }
    if (verdict.lost === 0 || performance.now() > giveUpAt) return verdict
    await sleep(50)
  }
}

await answerQuestions(async (question) => {
  const asked = question as ClientsQuestion
  switch (asked.ask) {
    case 'open':
      return open(asked)
    case 'await':
      return untilDelivered(asked.each, asked.timeoutMs)
    case 'ages': {
      const sorted = ages.sort((a, b) => a - b)
      ages = []
      return sorted
    }
    case 'drop':
      return drop(asked.timeoutMs)
    case 'judge':
      return judge(asked.channels, asked.timeoutMs)
  }
})
// nobody waits for goodbyes
for (const client of clients) client.drop()
process.exit(0)
