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

/** What Node keeps inside a socket; shown by Node 20 to 24, never promised. */
interface Inside {
  /** Nothing once the descriptor is closed. */
  readonly _handle?: { readonly fd?: number } | null
  readonly _writableState: WritingHalf
}

/** The state of a socket's writing half. */
export interface WritingHalf {
  /** Bytes that wait. */
  readonly length: number
  /** Whether its end was asked for. */
  readonly ending: boolean
  /** What a write failed with; the socket is destroyed later. */
  readonly errored: Error | null
  /** From the step on in which the descriptor is closed. */
  readonly destroyed: boolean
}

/** No descriptor. */
export const NONE = -1

/** The number by which the kernel knows a socket whose bytes go out as they are, or `NONE`: TLS changes them. */
export function descriptorOf(socket: Socket): number {
  return socket.constructor === Socket ? ((socket as unknown as Inside)._handle?.fd ?? NONE) : NONE
}

/** To be asked once: it lives as long as the socket. */
export function writingHalfOf(socket: Socket): WritingHalf {
  return (socket as unknown as Inside)._writableState
}

/**
 * Whether bytes may go past the stream: nothing waits in it, its end was not asked for, nothing failed, and the
 * descriptor is still this socket's. The next connection gets the number of one that was closed.
 */
export function passable(half: WritingHalf): boolean {
  return half.length === 0 && !half.ending && half.errored === null && !half.destroyed
}
