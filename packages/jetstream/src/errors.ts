/**
 * What became of a refused publish.
 * `FULL` the stream or the subject has no room: wait, the message is good. `UNAVAILABLE` nobody could take it:
 * certainly not stored. `TIMEOUT` unknown: it may be stored, publish it again. `REFUSED` this message will never
 * be taken. `NO_STREAM` the topology is not applied. `TOO_LARGE` over the limit of the server or the stream.
 */
export type PublishErrorCode = 'FULL' | 'UNAVAILABLE' | 'TIMEOUT' | 'REFUSED' | 'NO_STREAM' | 'TOO_LARGE'

/** A message that JetStream did not acknowledge. The code is the retry decision. */
export class PublishError extends Error {
  override readonly name = 'PublishError'
  readonly code: PublishErrorCode
  /** JetStream's own error code, where the server answered with one. */
  readonly serverCode: number | undefined

  constructor(code: PublishErrorCode, message: string, serverCode?: number) {
    super(message)
    this.code = code
    this.serverCode = serverCode
  }

  /** True when the same message may be published again later with hope. */
  get transient(): boolean {
    return this.code === 'FULL' || this.code === 'UNAVAILABLE' || this.code === 'TIMEOUT'
  }
}

export type ConnectionErrorCode = 'UNREACHABLE' | 'DENIED' | 'CLOSED'

/** The connection could not be opened, or is closed for good. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError'
  readonly code: ConnectionErrorCode

  constructor(code: ConnectionErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

export type ApiErrorCode = 'NOT_FOUND' | 'UNAVAILABLE' | 'TIMEOUT' | 'DENIED' | 'REFUSED'

/** A request to JetStream's API that did not succeed. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly code: ApiErrorCode
  readonly serverCode: number | undefined

  constructor(code: ApiErrorCode, message: string, serverCode?: number) {
    super(message)
    this.code = code
    this.serverCode = serverCode
  }
}

export type TopologyErrorCode = 'INVALID' | 'MISSING' | 'IMMUTABLE' | 'FAILED'

/** The topology file is wrong, or the server's streams and durables are not what is needed. */
export class TopologyError extends Error {
  override readonly name = 'TopologyError'
  readonly code: TopologyErrorCode
  /** Every problem found, each a sentence. */
  readonly problems: readonly string[]

  constructor(code: TopologyErrorCode, problems: readonly string[]) {
    super(problems.join('\n'))
    this.code = code
    this.problems = problems
  }
}
