import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { selfIdentity } from '@carillon/engines'
import type { MeshEnvironment } from '../mesh/environment.js'

/** One role as a process of its own, to be killed in earnest. */
export interface RoleProcess {
  readonly role: string
  /** Where it listens, undefined while it doesn't; another one after each start. */
  readonly url: string | undefined
  kill(): Promise<void>
  /** Starts it again and waits until it is ready. */
  start(): Promise<void>
  /** SIGTERM, and waits. */
  stop(): Promise<void>
}

const READY = /"url":"([^"]+)".*"msg":"http\.listening"/
/** Eight of them start together, on whatever else the machine is busy with. */
const STARTS_WITHIN_MS = 120_000
const CLI = new URL('../../../bin/carillon.mjs', import.meta.url).pathname

export function createRoleProcess(role: string, env: MeshEnvironment): RoleProcess {
  let child: ChildProcess | undefined
  let url: string | undefined
  const end = async (signal: NodeJS.Signals) => {
    const running = child
    child = undefined
    url = undefined
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return
    const ended = once(running, 'exit')
    running.kill(signal)
    await ended
  }
  return {
    role,
    get url() {
      return url
    },
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    async start() {
      await end('SIGTERM')
      // killed itself, this process takes its roles along
      const { prefix } = await selfIdentity('SIGKILL')
      const [command = process.execPath, ...args] = [
        ...prefix,
        process.execPath,
        CLI,
        'serve',
        `--roles=${role}`,
      ]
      child = spawn(command, args, {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, ...env, CARILLON_PORT: '0', CARILLON_LOG_LEVEL: 'info' },
      })
      url = await becameReady(role, child)
    },
  }
}

/** Resolves with its address. */
function becameReady(role: string, child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const timer = setTimeout(
      () => reject(new Error(`${role} was not ready in ${STARTS_WITHIN_MS} ms:\n${text.slice(-2_000)}`)),
      STARTS_WITHIN_MS,
    )
    child.once('exit', (code, signal) => {
      clearTimeout(timer)
      reject(new Error(`${role} ended with ${code ?? signal}:\n${text.slice(-2_000)}`))
    })
    child.stdout?.on('data', (chunk: Buffer) => {
      // once it is ready its lines are read and forgotten, so that the pipe never fills
      if (text === READY_MARK) return
      text += chunk.toString()
      const listening = READY.exec(text)
      if (listening === null) return
      text = READY_MARK
      clearTimeout(timer)
      resolve(listening[1] as string)
    })
  })
}

const READY_MARK = 'ready'
