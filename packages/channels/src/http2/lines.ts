import { type ClientHttp2Session, connect } from 'node:http2'
import type { TLSSocket } from 'node:tls'

/** 100 streams at 50 ms are 2000 messages a second; this is more than one process has to say. */
const LINES = 8
/** The most streams of a connection, which is what providers allow. */
const STREAMS = 100
/** Why a request was not sent whose connection did not become one of HTTP/2. */
export const OTHER_PROTOCOL = 'OTHER_PROTOCOL'
/** What was idle for so long may be forgotten by something in between, without a word. */
const IDLE_MS = 4 * 60_000

export interface LinesOptions {
  /** `https://…` of the provider. */
  origin: string
  /** Begins a TLS connection that offers `h2`. */
  dial(): TLSSocket
  connectMs: number
  /** Streams of a connection whose peer has not said yet how many it takes; at most 100. */
  streamsUnasked: number
  /** A line takes more than it did. */
  onRoom(): void
  /**
   * The peer chose another protocol, and no connection to it speaks HTTP/2. What waited for the connection ends as
   * `OTHER_PROTOCOL`; nothing was written on it.
   */
  onOtherProtocol?(): void
}

/** One connection. Whoever takes it gives it back by `release`. */
export interface Line {
  readonly session: ClientHttp2Session
  /** Streams under way. */
  open: number
  limit: number
  /** True once the peer has spoken HTTP/2. */
  greeted: boolean
  usedAt: number
  /** Milliseconds of the last answer; 0 before the first. */
  answeredAt: number
}

/** HTTP/2 connections to one provider, opened on demand and kept; the next one only when those before it are full. */
export interface Lines extends AsyncDisposable {
  /** A line with room for one more stream; undefined when every one is full. */
  take(): Line | undefined
  release(line: Line): void
  /** Closes, once what is under way has ended, every line that brought no answer since then (milliseconds). */
  abandon(since: number): void
  /** Closes every line once what is under way on it has ended. */
  retire(): void
  /** True while no connection is open. */
  isEmpty(): boolean
}

export function createLines(options: LinesOptions): Lines {
  const lines: Line[] = []
  const sessions = new Map<ClientHttp2Session, TLSSocket>()

  const open = (): Line => {
    const socket = options.dial()
    // Comes before the session's own listener, which would begin to speak HTTP/2.
    socket.once('secureConnect', () => {
      if (socket.alpnProtocol === 'h2') return
      session.destroy(new OtherProtocolError('The peer does not speak HTTP/2.'))
      if (!lines.some((one) => one.greeted && !one.session.destroyed)) options.onOtherProtocol?.()
    })
    const session = connect(options.origin, {
      peerMaxConcurrentStreams: STREAMS,
      createConnection: () => socket,
    })
    const line: Line = {
      session,
      open: 0,
      limit: options.streamsUnasked,
      greeted: false,
      usedAt: Date.now(),
      answeredAt: 0,
    }
    sessions.set(session, socket)
    const greeting = setTimeout(() => session.destroy(), options.connectMs)
    session.once('connect', () => clearTimeout(greeting))
    session.on('remoteSettings', ({ maxConcurrentStreams }) => {
      line.greeted = true
      line.limit = Math.max(1, Math.min(STREAMS, maxConcurrentStreams ?? STREAMS))
      options.onRoom()
    })
    // Streams that wait for an answer have timers of their own, shorter than this.
    session.setTimeout(IDLE_MS, () => session.close())
    // Each stream reports its own failure; a session without a listener would throw.
    session.on('error', () => session.destroy())
    session.on('close', () => {
      clearTimeout(greeting)
      sessions.delete(session)
    })
    lines.push(line)
    return line
  }

  const isUsable = (line: Line, now: number): boolean => {
    const { session } = line
    if (session.closed || session.destroyed) return false
    if (line.open > 0 || now - line.usedAt < IDLE_MS) return true
    session.close()
    return false
  }

  return {
    take() {
      const now = Date.now()
      for (let index = lines.length - 1; index >= 0; index--) {
        if (!isUsable(lines[index] as Line, now)) lines.splice(index, 1)
      }
      const line = lines.find((one) => one.open < one.limit) ?? (lines.length < LINES ? open() : undefined)
      if (!line) return undefined
      line.open++
      line.usedAt = now
      return line
    },
    release: (line) => void line.open--,
    abandon(since) {
      for (const { session, answeredAt } of lines) if (answeredAt < since) session.close()
    },
    retire() {
      for (const session of sessions.keys()) session.close()
    },
    isEmpty: () => sessions.size === 0,
    async [Symbol.asyncDispose]() {
      await Promise.all(
        [...sessions].map(
          ([session, socket]) =>
            new Promise<void>((resolve) => {
              session.once('close', () => resolve())
              session.destroy()
              // one that was closed before waits for the peer to close, too, which may be gone
              socket.destroy()
            }),
        ),
      )
    },
  }
}

class OtherProtocolError extends Error {
  readonly code = OTHER_PROTOCOL
}
