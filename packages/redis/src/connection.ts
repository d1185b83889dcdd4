import { Redis } from 'ioredis'
import { RedisError } from './errors.js'

export interface RedisOptions {
  /** `redis://user:password@host:port/db`, `rediss://` for TLS. */
  url: string
  /** Shown by the server for this connection: the role's name. */
  name?: string
  /** How long a command may take before Redis counts as away. Default 250. */
  commandTimeoutMs?: number
  /** How long to leave a slow Redis alone before it is asked again. Default 1,000. */
  restMs?: number
  /** Called when Redis comes and goes. Must not throw. */
  onStatus?: (status: { kind: 'up' } | { kind: 'down'; error?: Error }) => void
}

export interface RedisHealth {
  up: boolean
  /** Of the ping, when it answered. */
  latencyMs?: number
}

const CONNECT_TIMEOUT_MS = 1_000
const RECONNECT_MIN_MS = 50
const RECONNECT_MAX_MS = 1_000

/**
 * A connection that fails fast: no command waits for Redis to come back, none takes longer than its time, and after
 * a command that took too long the next ones don't try for a second. Reconnects for ever.
 */
export class RedisConnection implements AsyncDisposable {
  /** For this package only. */
  readonly client: Redis
  readonly #restMs: number
  readonly #onStatus: NonNullable<RedisOptions['onStatus']>
  #restUntil = 0
  #up = false
  #connects = 0
  #lastError: Error | undefined
  #closed = false

  constructor(options: RedisOptions) {
    this.#restMs = options.restMs ?? 1_000
    this.#onStatus = options.onStatus ?? (() => undefined)
    this.client = new Redis(options.url, {
      lazyConnect: true,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      commandTimeout: options.commandTimeoutMs ?? 250,
      connectTimeout: CONNECT_TIMEOUT_MS,
      ...(options.name !== undefined && { connectionName: options.name }),
      retryStrategy: (attempt) => {
        const ceiling = Math.min(RECONNECT_MAX_MS, RECONNECT_MIN_MS * 2 ** Math.min(attempt, 10))
        return ceiling / 2 + Math.random() * (ceiling / 2)
      },
    })
    this.client.on('ready', () => this.#setUp(true))
    this.client.on('close', () => this.#setUp(false))
    this.client.on('error', (error: Error) => {
      this.#lastError = error
    })
  }

  /** True when a command would be tried now. */
  get up(): boolean {
    return this.#up && Date.now() >= this.#restUntil
  }

  /** How often it has connected: another time may be another server, or one that has forgotten its last writes. */
  get connects(): number {
    return this.#connects
  }

  /** Runs commands. @throws RedisError `UNAVAILABLE`, at once when Redis is known to be away */
  async run<T>(commands: (client: Redis) => Promise<T>): Promise<T> {
    if (!this.up) throw new RedisError('UNAVAILABLE', 'Redis is away.', { cause: this.#lastError })
    try {
      return await commands(this.client)
    } catch (cause) {
      this.#restUntil = Date.now() + this.#restMs
      throw new RedisError('UNAVAILABLE', 'Redis did not answer in time.', { cause })
    }
  }

  /** Asks Redis; never throws. Down is degraded, not dead: a role stays ready without it. */
  async health(): Promise<RedisHealth> {
    const startedAt = performance.now()
    try {
      await this.client.ping()
      this.#restUntil = 0
      return { up: true, latencyMs: performance.now() - startedAt }
    } catch (error) {
      this.#lastError = error instanceof Error ? error : new Error(String(error))
      return { up: false }
    }
  }

  /** Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.client.disconnect()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #setUp(up: boolean): void {
    if (this.#up === up) return
    this.#up = up
    if (up) {
      this.#connects++
      this.#onStatus({ kind: 'up' })
    } else
      this.#onStatus(
        this.#lastError === undefined ? { kind: 'down' } : { kind: 'down', error: this.#lastError },
      )
  }
}

/** Opens a connection and returns also when Redis is away: then everything starts degraded and mends itself. */
export async function openRedis(options: RedisOptions): Promise<RedisConnection> {
  const connection = new RedisConnection(options)
  // A first failure is the same as a later one: the retry strategy goes on in the background.
  await connection.client.connect().catch(() => undefined)
  return connection
}
