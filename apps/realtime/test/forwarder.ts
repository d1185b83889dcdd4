import { connect, createServer, type Socket } from 'node:net'
import type { TestScope } from '@carillon/testkit'

export interface Forwarder {
  url: string
  /** Where new connections go. */
  target: string
  /** Cuts all connections, as a lost network does. */
  cut(): void
  /** Says something to every client in the node's place. */
  sendToClients(bytes: Buffer): void
}

/** An address in front of realtime nodes, like a load balancer that can be told whom to use. */
export async function useForwarder(t: TestScope, target: string): Promise<Forwarder> {
  const sockets = new Set<Socket>()
  const clients = new Set<Socket>()
  const forwarder: Forwarder = {
    url: '',
    target,
    cut: () => {
      for (const socket of sockets) socket.destroy()
    },
    sendToClients: (bytes) => {
      for (const client of clients) client.write(bytes)
    },
  }
  const server = createServer((incoming) => {
    const outgoing = connect(Number(new URL(forwarder.target).port), '127.0.0.1')
    clients.add(incoming)
    incoming.on('close', () => clients.delete(incoming))
    for (const [socket, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
      socket.pipe(other)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  forwarder.url = `http://127.0.0.1:${(server.address() as { port: number }).port}`
  t.teardown(async () => {
    forwarder.cut()
    await new Promise((resolve) => server.close(resolve))
  })
  return forwarder
}
