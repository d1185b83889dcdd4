import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** One address before several servers, as a load balancer is. */
export interface Front extends AsyncDisposable {
  readonly url: string
  /** Resets every connection, as a lost network does, and tells how many. */
  cut(): number
}

/** Goes to one target after the other, past those that take no connection; `targets` is asked anew for each client. */
export async function openFront(targets: () => readonly string[]): Promise<Front> {
  const sockets = new Set<Socket>()
  let turn = 0
  const keep = (socket: Socket, other: Socket) => {
    sockets.add(socket)
    socket.on('error', () => other.destroy())
    socket.on('close', () => {
      sockets.delete(socket)
      // its end was passed on already, unless it had none
      if (!socket.readableEnded) other.destroy()
    })
  }
  const server = createServer({ noDelay: true }, async (incoming) => {
    incoming.on('error', () => incoming.destroy())
    const outgoing = await connectOne(targets(), turn++)
    if (outgoing === undefined || incoming.destroyed) {
      outgoing?.destroy()
      incoming.destroy()
      return
    }
    keep(incoming, outgoing)
    keep(outgoing, incoming)
    incoming.pipe(outgoing).pipe(incoming)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    const cutting = [...sockets]
    for (const socket of cutting) socket.resetAndDestroy()
    return cutting.length / 2
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    async [Symbol.asyncDispose]() {
      server.close()
      cut()
    },
  }
}

async function connectOne(urls: readonly string[], turn: number): Promise<Socket | undefined> {
  for (let n = 0; n < urls.length; n++) {
    const { port } = new URL(urls[(turn + n) % urls.length] as string)
    const socket = connect({ host: '127.0.0.1', port: Number(port), noDelay: true })
    const connected = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    if (connected) return socket
  }
  return undefined
}
