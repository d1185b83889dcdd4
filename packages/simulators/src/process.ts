import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type ControlClient, connectControl } from './control/client.js'
import type { SimulatorsConnection } from './control/connection.js'
import { SimulatorsRefused } from './main-options.js'
import type { SimulatorLimits } from './start.js'

export interface SimulatorsProcessOptions {
  /** The file that it continues from: keys, ports, devices and messages survive `kill()` and `start()`. */
  state?: string
  /** Messages that its inbox keeps. Default 500. */
  keep?: number
  latencyMs?: number
  limits?: SimulatorLimits
}

/** Simulators in a process of their own, for chaos and benchmarks. It ends with this process, however that ends. */
export interface SimulatorsProcess extends AsyncDisposable {
  readonly connection: SimulatorsConnection
  readonly control: ControlClient
  /** Undefined while it is stopped. */
  readonly pid: number | undefined
  /** SIGKILL, and waits. What it did in its last moment is not in the state file. */
  kill(): Promise<void>
  /** SIGTERM, and waits; everything is in the state file. */
  stop(): Promise<void>
  /** Again after `kill()` or `stop()`; with a state file under the same ports and keys. */
  start(): Promise<void>
}

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url))
const STARTS_WITHIN_MS = 120_000

/** @throws SimulatorsRefused with what it said when it does not start */
export async function startSimulatorsProcess(
  options: SimulatorsProcessOptions = {},
): Promise<SimulatorsProcess> {
  const args = argumentsOf(options)
  let { child, connection } = await launch(args)
  let control = connectControl(connection.control)
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }
  return {
    get connection() {
      return connection
    },
    get control() {
      return control
    },
    get pid() {
      return child.exitCode === null && child.signalCode === null ? child.pid : undefined
    },
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    async start() {
      await end('SIGTERM')
      const again = await launch(args)
      child = again.child
      connection = again.connection
      // with a state file the address is the same, and who follows goes on
      if (connection.control !== control.url) control = connectControl(connection.control)
    },
    [Symbol.asyncDispose]: () => end('SIGTERM'),
  }
}

function argumentsOf({ state, keep, latencyMs, limits }: SimulatorsProcessOptions): string[] {
  return [
    '--leash',
    ...(state === undefined ? [] : ['--state', state]),
    ...(keep === undefined ? [] : ['--keep', String(keep)]),
    ...(latencyMs === undefined ? [] : ['--latency-ms', String(latencyMs)]),
    ...(limits === undefined ? [] : ['--limits', JSON.stringify(limits)]),
  ]
}

async function launch(
  args: readonly string[],
): Promise<{ child: ChildProcess; connection: SimulatorsConnection }> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
  const said: string[] = []
  child.stderr.on('data', (part) => said.push(String(part)))
  const lines = createInterface({ input: child.stdout })
  const exited = once(child, 'exit')
  const timer = setTimeout(() => child.kill('SIGKILL'), STARTS_WITHIN_MS)
  try {
    const first = await Promise.race([once(lines, 'line'), exited.then(() => undefined)])
    if (first === undefined) throw new SimulatorsRefused(said.join('').trim() || 'it did not start')
    return { child, connection: JSON.parse(String(first[0])) as SimulatorsConnection }
  } finally {
    clearTimeout(timer)
  }
}
