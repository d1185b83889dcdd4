import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { clientFrame, numberIn, readFrames } from './light-frames.js'

/**
 * What thousands of clients of one test share: where they go, and how they come back. A client speaks just enough of
 * its protocol to be a real one, and checks each number it gets against the one before.
 */
export interface Crowd {
  /** Where the next connection goes. */
  url: () => string
  /** Longest pause before coming back, milliseconds. */
  returnWithinMs: number
  onReady: (client: LightClient) => void
}

/** One client that comes back by itself until it is stopped. */
export abstract class LightClient {
  /** The last number seen; the next must be one higher. */
  last = 0
  ready = false
  connections = 0
  /** Told to begin again. */
  readonly resets: string[] = []
  /** What should never have come: gaps, doubles, refusals. */
  readonly wrong: string[] = []
  protected readonly token: string
  protected socket: Socket | undefined
  readonly #crowd: Crowd
  #stopped = false
  #timer: NodeJS.Timeout | undefined

  constructor(token: string, crowd: Crowd) {
    this.token = token
    this.#crowd = crowd
  }

  start(): void {
    const { hostname, port } = new URL(this.#crowd.url())
    const socket = connect({ host: hostname, port: Number(port), noDelay: true })
    this.socket = socket
    let retryMs: number | undefined
    socket.on('connect', () => socket.write(this.greeting()))
    const read = this.reader((ms) => {
      retryMs = ms
    })
    socket.on('data', (chunk) => {
      if (socket === this.socket) read(chunk)
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      if (socket !== this.socket) return
      this.ready = false
      this.socket = undefined
      if (this.#stopped) return
      this.#timer = setTimeout(() => this.start(), retryMs ?? Math.random() * this.#crowd.returnWithinMs)
    })
  }

  /** Cuts the connection; the client comes back. */
  kill(): void {
    this.socket?.resetAndDestroy()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.socket?.destroy()
  }

  protected see(n: number): void {
    if (n !== this.last + 1 && this.wrong.length < 5) this.wrong.push(`${n} after ${this.last}`)
    this.last = n
  }

  protected begun(): void {
    this.ready = true
    this.connections++
    this.#crowd.onReady(this)
  }

  protected abstract greeting(): Buffer | string
  protected abstract reader(onRetry: (ms: number) => void): (chunk: Buffer) => void
}

/** An EventSource on the personal channel. */
export class LightSse extends LightClient {
  #lastId = ''

  protected greeting(): string {
    const lastId = this.#lastId === '' ? '' : `last-event-id: ${this.#lastId}\r\n`
    return `GET /v1/sse HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\nauthorization: Bearer ${this.token}\r\n${lastId}\r\n`
  }

  protected reader(onRetry: (ms: number) => void): (chunk: Buffer) => void {
    let rest = ''
    let inBody = false
    return (chunk) => {
      rest += chunk.toString()
      if (!inBody) {
        const end = rest.indexOf('\r\n\r\n')
        if (end < 0) return
        if (!rest.startsWith('HTTP/1.1 200')) this.wrong.push(rest.slice(0, 300))
        rest = rest.slice(end + 4)
        inBody = true
      }
      for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
        this.#block(rest.slice(0, end), onRetry)
        rest = rest.slice(end + 2)
      }
    }
  }

  #block(block: string, onRetry: (ms: number) => void): void {
    const retry = /^retry: (\d+)$/m.exec(block)?.[1]
    const id = /^id: (\S+)$/m.exec(block)?.[1]
    const event = /^event: (\S+)$/m.exec(block)?.[1]
    const data = /^data: (.*)$/m.exec(block)?.[1]
    if (id !== undefined) this.#lastId = id
    // asked to come back later: nothing but that in the whole answer
    if (retry !== undefined && event === undefined) onRetry(Number(retry))
    if (event === 'ready') this.begun()
    else if (event === 'reset') this.resets.push(data ?? '')
    else if (event === undefined && data !== undefined) this.see(numberIn(data))
  }
}

interface Pub {
  data: unknown
  offset: number
}

interface Said {
  id?: number
  error?: unknown
  connect?: {
    subs: {
      user: {
        epoch: string
        offset?: number
        recovered?: boolean
        was_recovering?: boolean
        publications?: Pub[]
      }
    }
  }
  push?: { pub?: Pub }
}

/** A client of the client protocol on the personal channel. */
export class LightWebSocket extends LightClient {
  #position: { epoch: string; offset: number } | undefined

  protected greeting(): string {
    const key = randomBytes(16).toString('base64')
    return `GET /v1/connection/websocket HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\n\r\n`
  }

  protected reader(onRetry: (ms: number) => void): (chunk: Buffer) => void {
    let rest: Buffer = Buffer.alloc(0)
    let open = false
    return (chunk) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      if (!open) {
        const end = rest.indexOf('\r\n\r\n')
        if (end < 0) return
        const status = rest.subarray(9, 12).toString()
        if (status === '503') return onRetry(500 + Math.random() * 1_000)
        if (status !== '101') this.wrong.push(rest.toString().slice(0, 300))
        rest = rest.subarray(end + 4)
        open = true
        const known = this.#position
        const subs = known === undefined ? {} : { user: { recover: true, ...known } }
        this.#say({ id: 1, connect: { token: this.token, subs } })
      }
      rest = readFrames(rest, (text) => {
        for (const line of text.split('\n')) this.#hear(line)
      })
    }
  }

  #hear(line: string): void {
    if (line === '{}') {
      this.#say({})
      return
    }
    const { connect, push, error } = JSON.parse(line) as Said
    if (error !== undefined) {
      // the mesh can't be reached for now: connect again
      this.kill()
    } else if (connect !== undefined) {
      const {
        epoch,
        offset = 0,
        recovered,
        was_recovering: recovering,
        publications = [],
      } = connect.subs.user
      if (recovering === true && recovered !== true) this.resets.push(epoch)
      this.#position = {
        epoch,
        offset: this.#position?.epoch === epoch && recovered ? this.#position.offset : offset,
      }
      for (const pub of publications) this.#publication(pub)
      if (publications.length === 0) this.#position.offset = offset
      this.begun()
    } else if (push?.pub !== undefined) this.#publication(push.pub)
  }

  #publication({ data, offset }: Pub): void {
    this.see((data as { n: number }).n)
    if (this.#position !== undefined) this.#position.offset = offset
  }

  #say(command: object): void {
    if (this.socket?.writable) this.socket.write(clientFrame(JSON.stringify(command)))
  }
}
