import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { EngineFailed } from './errors.js'
import type { Identity } from './identity.js'

export interface LaunchOptions {
  readonly engine: string
  readonly command: readonly string[]
  readonly identity: Identity
  readonly env?: NodeJS.ProcessEnv
  /** A log line that matches means: ready for clients. */
  readonly ready: RegExp
  /** Asks for an orderly end. */
  readonly stopSignal: NodeJS.Signals
  /** Every log line, as it comes. */
  readonly onLine?: ((line: string) => void) | undefined
  readonly startTimeoutMs?: number
  readonly stopTimeoutMs?: number
}

export interface ExitStatus {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A running child. Its last hundred log lines are kept for whoever has to explain a failure. */
export interface EngineProcess {
  readonly pid: number
  readonly exited: Promise<ExitStatus>
  readonly lastLines: readonly string[]
  readonly running: boolean
  stop(): Promise<void>
  signal(signal: NodeJS.Signals): void
}

/**
 * Starts a program and waits until it says that it is ready.
 * Throws EngineFailed with the program's last lines when it ends before that, or takes longer than `startTimeoutMs`
 * (30 s); nothing is left running then.
 */
export async function launch(options: LaunchOptions): Promise<EngineProcess> {
  const { engine, identity, ready, startTimeoutMs = 30_000, stopTimeoutMs = 15_000 } = options
  const [file, ...args] = [...identity.prefix, ...options.command]
  if (file === undefined) throw new Error('a command has a program')
  const child = spawn(file, args, {
    ...identity.spawn,
    // A session of its own: Ctrl-C reaches us alone, and we stop things in order.
    detached: true,
    cwd: '/',
    env: options.env ?? process.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const endWithUs = () => child.kill(options.stopSignal)
  process.once('exit', endWithUs)
  const lines: string[] = []
  const isReady = deferred()
  let ended: ExitStatus | undefined
  const exited = new Promise<ExitStatus>((resolve) => {
    const end = (status: ExitStatus) => {
      ended = status
      process.off('exit', endWithUs)
      isReady.reject(new EngineFailed(engine, `ended before it was ready (${describe(status)})`, lines))
      resolve(status)
    }
    child.once('error', (error) => {
      lines.push(error.message)
      end({ code: null, signal: null })
    })
    // 'close' comes after the last line was read; 'exit' would lose it.
    child.once('close', (code, signal) => end({ code, signal }))
  })
  const keep = (line: string) => {
    lines.push(line)
    if (lines.length > 100) lines.shift()
    options.onLine?.(line)
    if (ready.test(line)) isReady.resolve()
  }
  readLines(child, keep)

  const stop = async () => {
    if (ended) return
    // A paused program can't act on the request.
    child.kill('SIGCONT')
    child.kill(options.stopSignal)
    const hard = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs)
    await exited
    clearTimeout(hard)
  }
  const late = setTimeout(
    () => isReady.reject(new EngineFailed(engine, `was not ready after ${startTimeoutMs} ms`, lines)),
    startTimeoutMs,
  )
  try {
    await isReady.promise
  } catch (error) {
    child.kill('SIGKILL')
    await exited
    throw error
  } finally {
    clearTimeout(late)
  }
  return {
    pid: child.pid ?? 0,
    exited,
    lastLines: lines,
    get running() {
      return ended === undefined
    },
    stop,
    signal: (signal) => {
      if (ended === undefined) child.kill(signal)
    },
  }
}

function readLines(child: ChildProcess, onLine: (line: string) => void): void {
  for (const stream of [child.stdout, child.stderr]) {
    if (stream) createInterface({ input: stream }).on('line', onLine)
  }
}

function deferred() {
  let resolve: () => void = () => undefined
  let reject: (error: Error) => void = () => undefined
  const promise = new Promise<void>((onDone, onError) => {
    resolve = onDone
    reject = onError
  })
  return { promise, resolve, reject }
}

function describe({ code, signal }: ExitStatus): string {
  return signal ? `signal ${signal}` : `code ${code}`
}
