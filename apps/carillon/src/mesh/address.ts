import { readFile, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { CommandError } from '../terminal/failure.js'

/** A port of loopback that nobody else can take until it is let go. */
export interface HeldPort extends AsyncDisposable {
  readonly port: number
  /** Lets it go for the server that listens there next. Idempotent. */
  release(): Promise<void>
}

/**
 * The port of a mesh: the one that was asked for, else the one it had last time, so that bookmarks hold, else a free
 * one. Nobody else's port is ever taken, and it is held from now on: the engines take seconds to start, long enough
 * for another process to be given the same one. It is written to the file, where other commands find it.
 * @throws CommandError when the port that was asked for is taken
 */
export async function holdPort(file: string, wanted: number | undefined): Promise<HeldPort> {
  const held = wanted === undefined || wanted === 0 ? await holdLastOrFree(file) : await holdWanted(wanted)
  await writeFile(file, String(held.port))
  return held
}

async function holdWanted(wanted: number): Promise<HeldPort> {
  try {
    return await hold(wanted)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    throw new CommandError(`Port ${wanted} is taken.`, {
      remedy: 'Name another one with --port, or leave it out: a free one is found.',
    })
  }
}

async function holdLastOrFree(file: string): Promise<HeldPort> {
  const last = Number.parseInt(await readFile(file, 'utf8').catch(() => ''), 10)
  const usable = Number.isInteger(last) && last > 0 && last < 65_536
  return (usable ? await hold(last).catch(() => undefined) : undefined) ?? hold(0)
}

function hold(port: number): Promise<HeldPort> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      let released: Promise<void> | undefined
      const release = () => {
        released ??= new Promise<void>((done) => server.close(() => done()))
        return released
      }
      resolve({ port: portOf(server), release, [Symbol.asyncDispose]: release })
    })
  })
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  return address.port
}
