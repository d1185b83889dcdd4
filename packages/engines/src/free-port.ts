import { randomInt } from 'node:crypto'
import { createServer, type Server } from 'node:net'

/**
 * Ports on loopback that were free a moment ago, all different. Another process may take one before it is used:
 * whoever starts something on it retries with new ones.
 */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, listen))
  const ports = servers.map((server) => {
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
    return address.port
  })
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1)
  if (port === undefined) throw new Error('one port was asked for')
  return port
}

/**
 * Systems hand out ports from 32768 (Linux) or 49152 on to whoever connects or asks for any. Below, nobody gets a port
 * by chance while a server that keeps it is being started again.
 */
const FROM = 10_000
const BELOW = 32_768
const TRIES = 50

async function listen(): Promise<Server> {
  for (let tries = 1; tries < TRIES; tries++) {
    const server = await listenOn(randomInt(FROM, BELOW))
    if (server !== undefined) return server
  }
  const server = await listenOn(0)
  if (server === undefined) throw new Error('no port of loopback is free')
  return server
}

/** Undefined when the port is taken, or reserved. */
function listenOn(port: number): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' || error.code === 'EACCES' ? resolve(undefined) : reject(error),
    )
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}
