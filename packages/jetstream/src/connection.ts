import { readFileSync } from 'node:fs'
import {
  type Authenticator,
  connect,
  credsAuthenticator,
  errors,
  type NatsConnection,
  nkeyAuthenticator,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node'
import { ConnectionError } from './errors.js'
import { encodedHeaders, headerLines, isHeader } from './headers.js'
import { ReplyInbox } from './replies.js'

/** How a role proves who it is. `nkey` is what production uses: the seed never crosses the wire. */
export type Credentials =
  | { kind: 'nkey'; seed: string }
  | { kind: 'token'; token: string }
  | { kind: 'password'; user: string; password: string }
  | { kind: 'jwt'; file: string }

/** What happens to a connection over its life. `error` is what the server refused, a permission for example. */
export type ConnectionStatus =
  | { kind: 'connected'; server: string }
  | { kind: 'disconnected'; server: string }
  | { kind: 'error'; error: Error }
  | { kind: 'lame-duck'; server: string }
  | { kind: 'closed' }

export interface ConnectionOptions {
  /** `nats://host:port`, one or more. */
  servers: string | string[]
  /** Shown by the server for this connection: the role's name. */
  name: string
  credentials?: Credentials
  /** Replies arrive under this prefix; the server permits each role only its own. Default `_INBOX`. */
  inboxPrefix?: string
  tls?: { caFile?: string; certFile?: string; keyFile?: string }
  /** How long to try for the first connection. Default 30,000. After it, reconnects for ever. */
  connectTimeoutMs?: number
  /** Called for every change. Must not throw. */
  onStatus?: (status: ConnectionStatus) => void
}

/** A connection to NATS that comes back by itself. Publishing, consuming and reading take it as their first argument. */
export interface Connection extends AsyncDisposable {
  readonly name: string
  /** False while reconnecting: a role is unready meanwhile. */
  readonly connected: boolean
  readonly closed: boolean
  /** Id of the server process connected to; changes when it restarts. */
  readonly serverId: string | undefined
  /** Core NATS: heard by who listens now, kept by nobody. */
  publishCore(subject: string, body: Uint8Array | string, headers?: Record<string, string>): void
  /** Resolves when the server has processed everything sent so far. Rejects when the connection is lost. */
  flush(): Promise<void>
  /** Calls back after every reconnection, when its subscriptions are back; returns the way to stop. */
  onReconnect(listener: () => void): () => void
  /** Closes after flushing what was sent. Idempotent. */
  close(): Promise<void>
}

const RECONNECT_MIN_MS = 100
const RECONNECT_SPREAD_MS = 400
const ATTEMPT_TIMEOUT_MS = 5_000

/** The connection as the rest of this package sees it. */
export class Wire implements Connection {
  readonly name: string
  readonly nats: NatsConnection
  readonly replies: ReplyInbox
  readonly inboxPrefix: string
  readonly #onStatus: (status: ConnectionStatus) => void
  readonly #reconnectListeners = new Set<() => void>()
  #connected = true
  #closing: Promise<void> | undefined

  constructor(nats: NatsConnection, options: ConnectionOptions) {
    this.nats = nats
    this.name = options.name
    this.inboxPrefix = options.inboxPrefix ?? '_INBOX'
    this.#onStatus = options.onStatus ?? (() => undefined)
    this.replies = new ReplyInbox(nats, this.inboxPrefix)
    this.#watch()
  }

  get connected(): boolean {
    return this.#connected && !this.nats.isClosed()
  }

  get closed(): boolean {
    return this.nats.isClosed()
  }

  get serverId(): string | undefined {
    return this.nats.info?.server_id
  }

  get maxPayload(): number {
    return this.nats.info?.max_payload ?? 1_048_576
  }

  publishCore(subject: string, body: Uint8Array | string, headers?: Record<string, string>): void {
    if (headers === undefined) {
      this.nats.publish(subject, body)
      return
    }
    for (const name in headers) {
      if (!isHeader(name, headers[name] as string)) throw new Error(`The header ${name} can't be sent.`)
    }
    this.nats.publish(subject, body, { headers: encodedHeaders(headerLines(headers)) })
  }

  flush(): Promise<void> {
    return this.nats.flush()
  }

  /** Calls back after every reconnection; returns the way to stop. */
  onReconnect(listener: () => void): () => void {
    this.#reconnectListeners.add(listener)
    return () => this.#reconnectListeners.delete(listener)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    if (this.connected) {
      // A server that is just going away can't be flushed to; closing goes on.
      await Promise.race([this.nats.flush(), this.nats.closed()]).catch(() => undefined)
    }
    this.replies.close()
    await this.nats.close()
    this.#connected = false
    this.#onStatus({ kind: 'closed' })
  }

  async #watch(): Promise<void> {
    for await (const status of this.nats.status()) {
      if (status.type === 'disconnect') {
        this.#connected = false
        this.replies.failAll('DISCONNECTED')
        this.#onStatus({ kind: 'disconnected', server: status.server })
      } else if (status.type === 'reconnect') {
        this.#connected = true
        this.#onStatus({ kind: 'connected', server: status.server })
        for (const listener of this.#reconnectListeners) listener()
      } else if (status.type === 'ldm') {
        this.#onStatus({ kind: 'lame-duck', server: status.server })
      } else if (status.type === 'error') {
        const error = status.error
        if (error instanceof errors.PermissionViolationError) this.replies.fail(error.subject, 'DENIED')
        this.#onStatus({ kind: 'error', error })
      }
    }
  }
}

/** What only this package may use of a connection. */
export function wireOf(connection: Connection): Wire {
  if (connection instanceof Wire) return connection
  throw new Error('A connection comes from openConnection.')
}

function authenticator(credentials: Credentials): Authenticator {
  switch (credentials.kind) {
    case 'nkey':
      return nkeyAuthenticator(new TextEncoder().encode(credentials.seed))
    case 'token':
      return tokenAuthenticator(credentials.token)
    case 'password':
      return usernamePasswordAuthenticator(credentials.user, credentials.password)
    case 'jwt':
      return credsAuthenticator(readFileSync(credentials.file))
  }
}

/**
 * Opens a connection that reconnects for ever. Tries for `connectTimeoutMs` when nobody answers yet.
 * @throws ConnectionError `UNREACHABLE` when the time is over, `DENIED` when the server refuses the credentials
 */
export async function openConnection(options: ConnectionOptions): Promise<Connection> {
  const deadline = Date.now() + (options.connectTimeoutMs ?? 30_000)
  for (;;) {
    try {
      const nats = await connect({
        servers: options.servers,
        name: options.name,
        timeout: ATTEMPT_TIMEOUT_MS,
        maxReconnectAttempts: -1,
        reconnectDelayHandler: () => RECONNECT_MIN_MS + Math.random() * RECONNECT_SPREAD_MS,
        // A server that restarts may refuse known credentials for a moment.
        ignoreAuthErrorAbort: true,
        pingInterval: 10_000,
        noAsyncTraces: true,
        inboxPrefix: options.inboxPrefix ?? '_INBOX',
        ...(options.credentials && { authenticator: authenticator(options.credentials) }),
        ...(options.tls && { tls: options.tls }),
      })
      return new Wire(nats, options)
    } catch (cause) {
      if (cause instanceof errors.AuthorizationError) {
        throw new ConnectionError('DENIED', `NATS refuses the credentials of ${options.name}.`, { cause })
      }
      if (Date.now() >= deadline) {
        throw new ConnectionError('UNREACHABLE', `NATS at ${options.servers} does not answer.`, { cause })
      }
      await new Promise((resolve) =>
        setTimeout(resolve, RECONNECT_MIN_MS + Math.random() * RECONNECT_SPREAD_MS),
      )
    }
  }
}
