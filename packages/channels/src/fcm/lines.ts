import { type ClientHttp2Session, connect } from 'node:http2'
import { connect as connectTls } from 'node:tls'
import { trustedContext } from '../egress/agent.js'
import type { DialAddress, Timeouts } from '../settings.js'

export const FCM_HOST = 'fcm.googleapis.com'
/** Google lets 100 streams run on one connection. */
const STREAMS = 100
/** 100 streams at 50 ms are 2000 messages a second; this is more than one process has to say. */
const LINES = 8
/** What was idle for so long may be forgotten by something in between, without a word. */
const IDLE_MS = 4 * 60_000

export interface LinesOptions {
  dial: DialAddress | undefined
  ca: string | undefined
  timeouts: Timeouts
}

/** One connection. Whoever takes it gives it back by `release`. */
export interface Line {
  readonly session: ClientHttp2Session
  /** Streams under way. */
  open: number
  limit: number
  usedAt: number
  /** Milliseconds of the last answer; 0 before the first. */
  answeredAt: number
}

/** HTTP/2 connections to FCM, opened on demand and kept; the next one only when those before it are full. */
export interface Lines extends AsyncDisposable {
  /** A line with room for one more stream; undefined when every one is full. */
  take(): Line | undefined
  release(line: Line): void
  /** Closes, once what is under way has ended, every line that brought no answer since then (milliseconds). */
  abandon(since: number): void
}

export function createLines(options: LinesOptions): Lines {
  const lines: Line[] = []
  const sessions = new Set<ClientHttp2Session>()
  const trust = trustedContext(options.ca)

  const open = (): Line => {
    const session = connect(`https://${FCM_HOST}`, {
      peerMaxConcurrentStreams: STREAMS,
      createConnection: () =>
        connectTls({
          host: options.dial?.host ?? FCM_HOST,
          port: options.dial?.port ?? 443,
          servername: FCM_HOST,
          ALPNProtocols: ['h2'],
          ...trust,
        }),
    })
    const line: Line = { session, open: 0, limit: STREAMS, usedAt: Date.now(), answeredAt: 0 }
    sessions.add(session)
    const greeting = setTimeout(() => session.destroy(), options.timeouts.connectMs)
    session.once('connect', () => clearTimeout(greeting))
    session.on('remoteSettings', ({ maxConcurrentStreams }) => {
      line.limit = Math.max(1, Math.min(STREAMS, maxConcurrentStreams ?? STREAMS))
    })
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
    async [Symbol.asyncDispose]() {
      await Promise.all(
        [...sessions].map(
          (session) =>
            new Promise<void>((resolve) => {
              session.once('close', () => resolve())
              session.destroy()
            }),
        ),
      )
    },
  }
}
