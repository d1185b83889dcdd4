import { connect } from 'node:net'
import type { EngineName } from './errors.js'

/** What a look at an address found; `detail` says in words why it is not healthy. */
export interface Probe {
  readonly engine: EngineName
  readonly healthy: boolean
  /** Undefined when the engine tells its version only to whoever signs in. */
  readonly version: string | undefined
  readonly detail: string
}

/** Reads the greeting of a NATS server: version, and whether it has JetStream. Never throws. */
export function probeNats(url: string, timeoutMs = 2_000): Promise<Probe> {
  return probe('nats', url, 4222, timeoutMs, undefined, (text) => {
    const greeting = /^INFO (\{.*\})\s*\r\n/.exec(text)?.[1]
    if (greeting === undefined) return undefined
    const version = /"version":"([^"]+)"/.exec(greeting)?.[1]
    const jetstream = /"jetstream":true/.test(greeting)
    return { healthy: jetstream, version, detail: jetstream ? 'JetStream is on' : 'JetStream is off' }
  })
}

/** Asks a Redis for its version, with the password of the address if it has one. Never throws. */
export function probeRedis(url: string, timeoutMs = 2_000): Promise<Probe> {
  const { username, password } = new URL(url)
  const words = [username || 'default', password].map(decodeURIComponent)
  const auth = password ? command('AUTH', ...words) : ''
  return probe('redis', url, 6379, timeoutMs, Buffer.from(`${auth}${command('INFO', 'server')}`), (text) => {
    const version = /redis_version:(\S+)/.exec(text)?.[1]
    if (version !== undefined) return { healthy: true, version, detail: 'answers' }
    const problem = /^-(.*)\r\n/m.exec(text)?.[1]
    return problem === undefined ? undefined : { healthy: false, version, detail: problem }
  })
}

/** Opens a session as far as PostgreSQL lets a caller without password go. Never throws. */
export function probePostgres(url: string, timeoutMs = 2_000): Promise<Probe> {
  const { username, pathname } = new URL(url)
  const user = decodeURIComponent(username) || 'postgres'
  const pairs = ['user', user, 'database', decodeURIComponent(pathname.slice(1)) || user, '', '']
  const body = Buffer.from(pairs.join('\0'))
  const head = Buffer.alloc(8)
  head.writeInt32BE(body.length + 8, 0)
  // Protocol version 3.0
  head.writeInt32BE(196_608, 4)
  return probe('postgres', url, 5432, timeoutMs, Buffer.concat([head, body]), (text) => {
    const version = /server_version\0([^\0 ]+)/.exec(text)?.[1]
    if (version !== undefined) return { healthy: true, version, detail: 'answers' }
    // Severity, code, message: the fields of an error, wherever it comes in the answer.
    const problem = /V(?:FATAL|ERROR)\0C\w{5}\0M([^\0]+)\0/.exec(text)?.[1]
    if (problem !== undefined) return { healthy: false, version, detail: problem }
    // R followed by a non-zero method: it wants a password, so it is up.
    const asksForPassword = text.startsWith('R') && text.length >= 9 && text.charCodeAt(8) !== 0
    return asksForPassword ? { healthy: true, version, detail: 'asks for a password' } : undefined
  })
}

function command(...words: string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`
}

function probe(
  engine: EngineName,
  url: string,
  defaultPort: number,
  timeoutMs: number,
  question: Buffer | undefined,
  read: (text: string) => Omit<Probe, 'engine'> | undefined,
): Promise<Probe> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve) => {
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || defaultPort) })
    let text = ''
    const end = (found: Omit<Probe, 'engine'>) => {
      socket.destroy()
      resolve({ engine, ...found })
    }
    const unhealthy = (detail: string) => end({ healthy: false, version: undefined, detail })
    socket.setTimeout(timeoutMs, () => unhealthy(`no answer in ${timeoutMs} ms`))
    socket.once('error', (error) => unhealthy(error.message || `can't connect to ${hostname}`))
    socket.once('close', () => unhealthy('it closed the connection'))
    if (question) socket.write(question)
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      const found = read(text)
      if (found) end(found)
    })
  })
}
