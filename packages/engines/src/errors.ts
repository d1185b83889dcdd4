export type EngineName = 'nats' | 'postgres' | 'redis'

/** No usable program was found and none could be fetched; `remedy` is one line a person can act on. */
export class EngineUnavailable extends Error {
  readonly code = 'ENGINE_UNAVAILABLE'
  readonly engine: string
  readonly remedy: string

  constructor(engine: string, reason: string, remedy: string, cause?: unknown) {
    super(`${engine}: ${reason}. ${remedy}`, cause === undefined ? undefined : { cause })
    this.name = 'EngineUnavailable'
    this.engine = engine
    this.remedy = remedy
  }
}

/** The program was found but did not get ready, or ended by itself; `lastLines` is what it said last. */
export class EngineFailed extends Error {
  readonly code = 'ENGINE_FAILED'
  readonly engine: string
  readonly lastLines: readonly string[]

  constructor(engine: string, reason: string, lastLines: readonly string[]) {
    const tail = lastLines.slice(-12).map((line) => `\n  ${line}`)
    super(`${engine} ${reason}${tail.join('')}`)
    this.name = 'EngineFailed'
    this.engine = engine
    this.lastLines = lastLines
  }

  /** True when another program holds the port: the caller may try again on another one. */
  get portTaken(): boolean {
    return this.lastLines.some((line) =>
      /address already in use|could not bind|in use \(EADDRINUSE\)/i.test(line),
    )
  }
}

/** A helper program (apt-get, dpkg-deb, chown, …) ended with an error. */
export class CommandFailed extends Error {
  readonly code = 'COMMAND_FAILED'
  readonly command: string

  constructor(command: string, output: string, cause?: unknown) {
    super(`${command} failed: ${output.trim().split('\n').slice(-4).join(' | ')}`, { cause })
    this.name = 'CommandFailed'
    this.command = command
  }
}
