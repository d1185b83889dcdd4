export type RedisErrorCode = 'UNAVAILABLE'

/** Redis is away or too slow. What to do without it is each caller's decision; nothing durable depends on it. */
export class RedisError extends Error {
  override readonly name = 'RedisError'
  readonly code: RedisErrorCode

  constructor(code: RedisErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
