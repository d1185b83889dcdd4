import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'
import { answerQuestions } from './push-child.js'
import { ownCpu, ownMemory } from './realtime-cost.js'
import type { PeerName } from './realtime-peer-names.js'

/** The process of another server in Node: it says each message to everybody by itself, nothing stands behind it. */

export type PeerQuestion =
  | { ask: 'start'; peer: PeerName }
  | { ask: 'say'; texts: readonly string[] }
  | { ask: 'cpu' }
  | { ask: 'memory' }

/** Says one message to everybody. */
type Say = (text: string) => void

const BACKLOG = 4_096
let say: Say = () => undefined

async function start(peer: PeerName): Promise<{ port: number }> {
  const http = createServer()
  say = peer === 'ws' ? startWs(http) : await startSocketIo(http, peer === 'socket.io-recovery')
  await new Promise<void>((resolve) => http.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG }, resolve))
  return { port: (http.address() as AddressInfo).port }
}

/** As its manual broadcasts, the text made a buffer once. */
function startWs(http: Server): Say {
  const server = new WebSocketServer({ server: http })
  return (text) => {
    const bytes = Buffer.from(text)
    for (const client of server.clients) {
      if (client.readyState === WebSocket.OPEN) client.send(bytes, { binary: false })
    }
  }
}

/** Everybody in one room; with recovery it keeps what clients that come back have missed. */
async function startSocketIo(http: Server, recovery: boolean): Promise<Say> {
  const { Server } = await import('socket.io')
  const server = new Server(http, {
    transports: ['websocket'],
    ...(recovery && { connectionStateRecovery: { maxDisconnectionDuration: 120_000 } }),
  })
  server.on('connection', (socket) => void socket.join('fan'))
  return (text) => void server.to('fan').emit('message', JSON.parse(text))
}

await answerQuestions(async (question) => {
  const asked = question as PeerQuestion
  if (asked.ask === 'start') return start(asked.peer)
  if (asked.ask === 'cpu') return ownCpu()
  if (asked.ask === 'memory') return ownMemory()
  for (const text of asked.texts) say(text)
  return {}
})
process.exit(0)
