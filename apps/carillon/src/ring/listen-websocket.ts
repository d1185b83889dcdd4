import { WebSocket } from 'ws'
import type { Listening } from './listen-sse.js'

/** Connects as a client of the realtime protocol and calls for each notification. Resolves once it is connected. */
export async function listenWebSocket(
  url: string,
  token: string,
  onNotification: () => void,
): Promise<Listening> {
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/v1/connection/websocket`)
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.once('close', (code, reason) => reject(new Error(`The socket was closed: ${code} ${reason}`)))
    socket.on('open', () => socket.send(JSON.stringify({ id: 1, connect: { token } })))
    socket.on('message', (data) => {
      for (const line of data.toString().split('\n')) {
        // an empty object is the server's ping, and its answer the pong
        if (line === '{}') socket.send('{}')
        else if (line.includes('"connect"')) resolve()
        else if (line.includes('"error"')) reject(new Error(`The socket was refused: ${line}`))
        else if (line.includes('notification.created')) onNotification()
      }
    })
  })
  return { close: () => socket.terminate() }
}
