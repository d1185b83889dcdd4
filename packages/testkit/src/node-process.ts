import { type ExitStatus, launch, selfIdentity } from '@carillon/engines'
import { eventually } from './eventually.js'
import type { TestScope } from './scope.js'

export interface NodeProcessOptions {
  /** Absolute path of the compiled script. */
  readonly script: string
  readonly args?: readonly string[]
  /** Added to our environment. */
  readonly env?: Readonly<Record<string, string>>
  /** A line of its output that means: ready. */
  readonly ready: RegExp
  /** Two minutes unless told: several may start together, on whatever else the machine is busy with. */
  readonly startTimeoutMs?: number
}

export interface NodeProcess {
  readonly pid: number
  /** All lines of both outputs so far. */
  readonly lines: readonly string[]
  readonly exited: Promise<ExitStatus>
  /** SIGTERM, and waits; SIGKILL after 15 s. */
  stop(): Promise<void>
  /** SIGKILL unless told; waits for the end unless the signal is one that pauses or resumes. */
  kill(signal?: NodeJS.Signals): Promise<void>
  /** The first line that matches, now or later. */
  line(pattern: RegExp, timeoutMs?: number): Promise<string>
}

/**
 * A Node process of its own, to be killed in earnest. Ends with the test.
 * Throws EngineFailed with its last lines when it ends, or says nothing, before it is ready.
 */
export async function useNodeProcess(t: TestScope, options: NodeProcessOptions): Promise<NodeProcess> {
  const { startTimeoutMs = 120_000 } = options
  const lines: string[] = []
  const child = await launch({
    engine: options.script,
    command: [process.execPath, '--enable-source-maps', options.script, ...(options.args ?? [])],
    env: { ...process.env, ...options.env },
    identity: await selfIdentity('SIGKILL'),
    ready: options.ready,
    stopSignal: 'SIGTERM',
    onLine: (line) => lines.push(line),
    startTimeoutMs,
  })
  t.teardown(() => child.stop())
  return {
    pid: child.pid,
    lines,
    exited: child.exited,
    stop: () => child.stop(),
    kill: async (signal = 'SIGKILL') => {
      child.signal(signal)
      if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await child.exited
    },
    line: (pattern, timeoutMs = 40_000) =>
      eventually(() => lines.find((line) => pattern.test(line)), { timeoutMs }),
  }
}
