import type { Socket } from 'node:net'
import { HttpProblem } from '@carillon/service'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** What Node's HTTP server keeps beside the socket while an answer is open; shown by Node 20 to 24, never promised. */
interface ServerParts {
  parser?: HttpParser | null
}

interface HttpParser {
  unconsume?(): void
  remove?(): void
  close?(): void
}

/**
 * An endless answer writes to the socket itself, which belongs to an earlier request while that waits for its answer.
 * @throws HttpProblem 400
 */
export function needSocket(reply: FastifyReply): void {
  if (reply.raw.socket !== null) return
  throw new HttpProblem(
    400,
    'CONNECTION_IN_USE',
    'An earlier request of this connection waits for its answer: open another one for a stream.',
  )
}

/**
 * Takes the socket away from the HTTP server, as an upgrade does: the answer is endless, and request, answer, parser
 * and their listeners would be kept as long, 4 KB for each connection. What the other side still sends is read and
 * thrown away, so that its end is seen. `listen` adds the new owner's listeners again, since all are removed. To be
 * called when nobody but the new owner writes any more.
 */
export function takeSocket(request: FastifyRequest, reply: FastifyReply, listen: () => void): void {
  const { socket } = request.raw
  const parts = socket as ServerParts
  const { parser } = parts
  // requests are answered inside their parser's turn: it must end before the parser does
  setImmediate(() => {
    if (socket.destroyed) return
    reply.raw.detachSocket(socket)
    parser?.unconsume?.()
    parser?.remove?.()
    parts.parser = null
    socket.removeAllListeners()
    socket.on('end', endToo)
    listen()
    socket.resume()
    setImmediate(() => parser?.close?.())
  })
}

function endToo(this: Socket): void {
  this.end()
}
