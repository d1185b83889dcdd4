import type { EngineProcess, ExitStatus } from './engine-process.js'
import { EngineFailed, type EngineName } from './errors.js'

const ending = new Set<NodeJS.Signals>(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGABRT'])

/**
 * One engine over its starts and stops: the address and the data stay the same, the process may be another.
 * `stop` is orderly and idempotent; disposing is stopping.
 */
export class EngineServer implements AsyncDisposable {
  readonly engine: EngineName
  /** What a client connects to. */
  readonly url: string
  readonly port: number
  readonly dataDir: string
  #process: EngineProcess
  #changing: Promise<void> = Promise.resolve()
  readonly #relaunch: () => Promise<EngineProcess>

  constructor(
    facts: { engine: EngineName; url: string; port: number; dataDir: string },
    first: EngineProcess,
    relaunch: () => Promise<EngineProcess>,
  ) {
    this.engine = facts.engine
    this.url = facts.url
    this.port = facts.port
    this.dataDir = facts.dataDir
    this.#process = first
    this.#relaunch = relaunch
  }

  get pid(): number {
    return this.#process.pid
  }

  get running(): boolean {
    return this.#process.running
  }

  /** Resolves when the present process has ended, for whatever reason. */
  get exited(): Promise<ExitStatus> {
    return this.#process.exited
  }

  get lastLines(): readonly string[] {
    return this.#process.lastLines
  }

  stop(): Promise<void> {
    return this.#after(() => this.#process.stop())
  }

  /** Sends a signal, SIGKILL unless told; for one that ends the process, resolves when it has ended. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#process.signal(signal)
    if (ending.has(signal)) await this.#process.exited
  }

  /** Stops what runs, if anything, and starts again on the same port and data; clients reconnect. */
  restart(): Promise<void> {
    return this.#after(async () => {
      await this.#process.stop()
      this.#process = await patiently(this.#relaunch)
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #after(change: () => Promise<void>): Promise<void> {
    const done = this.#changing.then(change)
    this.#changing = done.catch(() => undefined)
    return done
  }
}

/** A port or a shared memory segment may stay taken for a moment after a kill. */
async function patiently(start: () => Promise<EngineProcess>): Promise<EngineProcess> {
  const giveUpAt = Date.now() + 10_000
  for (;;) {
    try {
      return await start()
    } catch (error) {
      const passing =
        error instanceof EngineFailed &&
        (error.portTaken || error.lastLines.some((line) => /still in use|is another postmaster/i.test(line)))
      if (!passing || Date.now() > giveUpAt) throw error
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}
