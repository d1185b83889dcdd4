import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { BenchEngines } from './engines.js'

/** As deploy/Dockerfile runs workers: a batch outlives several scavenges of the default young generation. */
export const NODE_FLAGS = ['--min-semi-space-size=64', '--max-semi-space-size=64']
/** No delivery is ever brought again for lack of a worker. */
const RESPOOL_AFTER_MS = String(60 * 60 * 1000)

export interface Worker extends AsyncDisposable {
  pid: number
  /** Consumes until nothing is left. */
  run(): Promise<{ ms: number; cpuMicros: number }>
}

/** A process of its own, as in production: its CPU is its own and its event loop shares nothing. */
export async function startWorker(
  mode: 'raw' | 'carillon' | 'rolling',
  engines: Pick<BenchEngines, 'nats' | 'workerUrl'>,
): Promise<Worker> {
  const script = new URL('./dispatch-worker.js', import.meta.url).pathname
  const child: ChildProcess = spawn(process.execPath, [...NODE_FLAGS, script, mode], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {
      ...process.env,
      NATS_URL: engines.nats.url,
      DATABASE_WORKER_URL: engines.workerUrl,
      CARILLON_RESPOOL_AFTER_MS: RESPOOL_AFTER_MS,
    },
  })
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
  const iterator = lines[Symbol.asyncIterator]()
  const next = async (): Promise<string> => {
    const { value, done } = await iterator.next()
    if (done === true) throw new Error(`The ${mode} worker ended with ${child.exitCode ?? child.signalCode}.`)
    return value
  }
  await next()
  return {
    pid: child.pid ?? 0,
    async run() {
      child.stdin?.write('go\n')
      return JSON.parse(await next())
    },
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.stdin?.end()
      await ended
    },
  }
}
