import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/** Handshakes that one turn of the event loop begins: some ten milliseconds of work. */
const PER_TURN = 64

/**
 * Has a server accept connections as soon as they come and begin with few of them in each turn of the event loop.
 *
 * The kernel keeps at most 4,096 connections that wait to be accepted (`net.core.somaxconn`). When ten thousand clients
 * come back within a second, a turn that handles the requests of all who have come lasts longer than that takes to be
 * full, and whoever finds no room is silent for 1, then 3, then 7 seconds. Call it before anybody connects.
 */
export function paceConnections(server: Server): void {
  const begin = server.listeners('connection') as ((socket: Socket) => void)[]
  // as the option of `net.createServer`, which HTTP servers don't hand on: nobody reads before its turn
  Object.assign(server, { pauseOnConnect: true })
  let waiting: Socket[] = []
  const turn = (): void => {
    const now = waiting
    waiting = now.splice(PER_TURN)
    if (waiting.length > 0) setImmediate(turn)
    for (const socket of now) {
      if (socket.destroyed) continue
      for (const listener of begin) listener.call(server, socket)
      socket.resume()
    }
  }
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    if (waiting.push(socket) === 1) setImmediate(turn)
  })
}
