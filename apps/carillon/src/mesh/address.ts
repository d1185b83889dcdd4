import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { CommandError } from '../terminal/failure.js'

/**
 * The port of a mesh: the one that was asked for, else the one it had last time, so that bookmarks hold, else a free
 * one. Nobody else's port is ever taken. It is written to the file, where other commands find it.
 * @throws CommandError when the port that was asked for is taken
 */
export async function choosePort(file: string, wanted: number | undefined): Promise<number> {
  const port = wanted === undefined || wanted === 0 ? await lastOrFree(file) : await mustBeFree(wanted)
  await writeFile(file, String(port))
  return port
}

async function mustBeFree(port: number): Promise<number> {
  if (await isFree(port)) return port
  throw new CommandError(`Port ${port} is taken.`, {
    remedy: 'Name another one with --port, or leave it out: a free one is found.',
  })
}

async function lastOrFree(file: string): Promise<number> {
  const last = Number.parseInt(await readFile(file, 'utf8').catch(() => ''), 10)
  const usable = Number.isInteger(last) && last > 0 && last < 65_536 && (await isFree(last))
  return usable ? last : freePort()
}

async function isFree(port: number): Promise<boolean> {
  try {
    await listenOnce(port)
    return true
  } catch {
    return false
  }
}

function freePort(): Promise<number> {
  return listenOnce(0)
}

function listenOnce(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : port))
    })
  })
}
