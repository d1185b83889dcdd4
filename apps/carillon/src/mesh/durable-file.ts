import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Replaces a file: after a crash or a power cut it holds the old text or the new one, whole. Once this resolves, the new
 * one. Readable by its owner alone.
 */
export async function replaceFile(file: string, text: string): Promise<void> {
  const draft = `${file}.new`
  await withHandle(draft, 'w', async (handle) => {
    await handle.chmod(0o600)
    await handle.writeFile(text)
    await handle.sync()
  })
  await rename(draft, file)
  await withHandle(dirname(file), 'r', (folder) => folder.sync())
}

type Handle = Awaited<ReturnType<typeof open>>

async function withHandle(
  path: string,
  flags: string,
  use: (handle: Handle) => Promise<void>,
): Promise<void> {
  const handle = await open(path, flags, 0o600)
  try {
    await use(handle)
  } finally {
    await handle.close()
  }
}
