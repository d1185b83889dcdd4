import { Socket } from 'node:net'

/**
 * Hands bytes to the kernel at once. Gives how many it took: fewer than all when the other side is behind, a negative
 * number when it took none, for whatever reason.
 */
export type NativeSend = (descriptor: number, bytes: Uint8Array) => number

/** `MSG_DONTWAIT | MSG_NOSIGNAL` on Linux: never stands still, and a closed connection is an answer. */
const FLAGS = 0x4040
const SEND = 'int64_t send(int socket, const void *bytes, size_t length, int flags)'

/**
 * `send(2)` of this process's own C library. Node's streams and `write(2)` cost a quarter more when the same bytes go
 * to thousands of sockets (docs/decisions/0023).
 * @returns why there is none, in words, where it can't be called: then everything goes through the streams
 */
export async function loadNativeSend(): Promise<NativeSend | string> {
  if (process.platform !== 'linux') return `not known on ${process.platform}`
  try {
    const { load } = await import('koffi')
    const send = load(null).func(SEND)
    return (descriptor, bytes) => send(descriptor, bytes, bytes.length, FLAGS)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** What Node keeps inside a socket: nothing once its descriptor is closed; shown by Node 20 to 24, never promised. */
interface Inside {
  readonly _handle?: { readonly fd?: number } | null
}

const NONE = -1

/** The number by which the kernel knows a socket whose bytes go out as they are, or a negative one: TLS changes them. */
export function descriptorOf(socket: Socket): number {
  return socket.constructor === Socket ? ((socket as Inside)._handle?.fd ?? NONE) : NONE
}

/** Whether the descriptor is still this socket's: the next connection gets the number of one that was closed. */
export function holdsDescriptor(socket: Socket): boolean {
  return (socket as Inside)._handle != null
}
