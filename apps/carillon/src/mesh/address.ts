import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'

/**
 * The port of a mesh: the one that was asked for, else the one it had last time, so that bookmarks hold, else a free
 * one. Nobody else's port is ever taken.
 */
export async function choosePort(file: string, wanted: number | undefined): Promise<number> {
  if (wanted !== undefined && wanted !== 0) return wanted
  const last = Number.parseInt(await readFile(file, 'utf8').catch(() => ''), 10)
  const port =
    Number.isInteger(last) && last > 0 && last < 65_536 && (await isFree(last)) ? last : await freePort()
  await writeFile(file, String(port))
  return port
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
