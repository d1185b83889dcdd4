import { type ChildProcess, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type CarillonClient, connectHttp } from '@carillon/sdk'
import { eventually, type TestScope } from '@carillon/testkit'

/** The repository's folder, from the compiled module. */
export const PROJECT = fileURLToPath(new URL('../../../../', import.meta.url))
const CLI = join(PROJECT, 'apps/carillon/bin/carillon.mjs')

/** Longest until a mesh is up on a machine that does much else. */
const UP_WITHIN_MS = 120_000

export interface CliOptions {
  /** CARILLON_DIR of the call. */
  directory?: string
  /** The project's folder unless told. */
  cwd?: string
  env?: Record<string, string>
  input?: string
  /** A Node script to run in place of the command line. */
  script?: string
}

export interface CliResult {
  code: number | null
  stdout: string
  stderr: string
  seconds: number
}

export interface CliProcess {
  /** Both outputs so far. */
  output(): string
  /** As Ctrl-C does: the whole process group gets the signal. */
  interrupt(signal?: NodeJS.Signals): void
  /** This process alone. */
  kill(signal: NodeJS.Signals): void
  /** Resolves with what `pattern` found in the output, now or later. */
  says(pattern: RegExp): Promise<string>
  exited: Promise<CliResult>
}

/** Starts a command of the command line as its own process group; it ends with the test. */
export function startCli(t: TestScope, args: readonly string[], options: CliOptions = {}): CliProcess {
  const began = performance.now()
  // what watches over the test's own process is not to be loaded into this one; env gives way to node, pid and all
  const command = ['-u', 'NODE_OPTIONS', process.execPath, options.script ?? CLI, ...args]
  const child = spawn('env', command, {
    cwd: options.cwd ?? PROJECT,
    env: environment(options),
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  })
  child.stdin.end(options.input ?? '')
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const exited = new Promise<CliResult>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) =>
      resolve({ code, stdout, stderr, seconds: (performance.now() - began) / 1000 }),
    )
  })
  t.teardown(() => end(child, exited))
  const output = () => stdout + stderr
  return {
    output,
    interrupt: (signal = 'SIGINT') => void process.kill(-(child.pid as number), signal),
    kill: (signal) => void child.kill(signal),
    says: (pattern) =>
      eventually(
        () => {
          const found = pattern.exec(output())?.[0]
          if (found === undefined && child.exitCode !== null) throw new Error(`it ended: ${output()}`)
          return found
        },
        { timeoutMs: UP_WITHIN_MS },
      ),
    exited,
  }
}

/** Runs a command to its end. */
export function runCli(t: TestScope, args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return startCli(t, args, options).exited
}

/** `carillon up` in a folder, once it is ready. */
export async function startUp(t: TestScope, options: CliOptions): Promise<CliProcess> {
  const mesh = startCli(t, ['up', '--no-open'], options)
  await mesh.says(/Ctrl-C stops everything/)
  return mesh
}

async function end(child: ChildProcess, exited: Promise<CliResult>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 15_000)
  await exited
  clearTimeout(timer)
}

/** Ours, without what would point a mesh at somebody else's engines or colour its output. */
function environment(options: CliOptions): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(CARILLON_|NATS_|DATABASE_|REDIS_|RIDES_|FORCE_COLOR$|TAP)/.test(name),
  )
  return {
    ...Object.fromEntries(kept),
    NO_COLOR: '1',
    ...(options.directory === undefined ? {} : { CARILLON_DIR: options.directory }),
    ...options.env,
  }
}

export interface EngineAddresses {
  natsUrl: string
  ownerUrl: string
  redisUrl: string
}

/** Addresses of the engines of the mesh that runs in a folder. */
export async function addressesOf(directory: string): Promise<EngineAddresses> {
  return JSON.parse(await readFile(join(directory, 'addresses.json'), 'utf8'))
}

/** Which of the engines still take connections. */
export async function answering(addresses: EngineAddresses): Promise<string[]> {
  const urls = Object.values(addresses) as string[]
  const open = await Promise.all(urls.map(takesConnections))
  return urls.filter((_, index) => open[index])
}

function takesConnections(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** Address and client of the mesh that runs, or ran last, in a folder. */
export async function edgeOf(directory: string): Promise<{ url: string; carillon: CarillonClient }> {
  const { apiKey } = JSON.parse(await readFile(join(directory, 'keys.json'), 'utf8')) as { apiKey: string }
  const url = `http://127.0.0.1:${await readFile(join(directory, 'port'), 'utf8')}`
  return { url, carillon: connectHttp({ url, apiKey, source: '/tests/carillon' }) }
}

export interface InboxItem {
  id: string
  title: string
  body: string
}

/** A person's inbox as their browser reads it, newest first. */
export async function inboxOf(directory: string, user = 'ada'): Promise<InboxItem[]> {
  const { url, carillon } = await edgeOf(directory)
  const { token } = await carillon.userToken(user)
  const answer = await fetch(`${url}/v1/inbox`, { headers: { authorization: `Bearer ${token}` } })
  if (!answer.ok) throw new Error(`the inbox answers ${answer.status}: ${await answer.text()}`)
  return ((await answer.json()) as { notifications: InboxItem[] }).notifications
}
