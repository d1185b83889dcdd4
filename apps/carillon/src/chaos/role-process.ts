import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { selfIdentity } from '@carillon/engines'
import type { MeshEnvironment } from '../mesh/environment.js'

/** One role as a process of its own, to be killed in earnest. */
export interface RoleProcess {
  readonly role: string
  kill(): Promise<void>
  /** Starts it again and waits until it is ready. */
  start(): Promise<void>
  /** SIGTERM, and waits. */
  stop(): Promise<void>
}

const READY = /"msg":"http\.listening"/
const STARTS_WITHIN_MS = 30_000
const CLI = new URL('../../../bin/carillon.mjs', import.meta.url).pathname

export function createRoleProcess(role: string, env: MeshEnvironment): RoleProcess {
  let child: ChildProcess | undefined
  const end = async (signal: NodeJS.Signals) => {
    const running = child
    child = undefined
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return
    const ended = once(running, 'exit')
    running.kill(signal)
    await ended
  }
  return {
    role,
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
      await becameReady(role, child)
    },
  }
}

function becameReady(role: string, child: ChildProcess): Promise<void> {
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
      if (!READY.test(text)) return
      text = READY_MARK
      clearTimeout(timer)
      resolve()
    })
  })
}

const READY_MARK = 'ready'
