import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { CommandFailed, findOnPath, run } from '@carillon/engines'
import { type SkippableScope, useFolder } from './scope.js'

/** A file system in a file, mounted: what a power cut would leave of it can be had at any moment. */
export interface LoopImage {
  readonly folder: string
  /**
   * Copies the image as it is now and mounts the copy: just what was synced (or written back by itself) is in it, as
   * after a power cut. Pause the writer meanwhile, since a copy takes a moment and a power cut does not.
   */
  cutPower(): Promise<LoopImage>
}

/** Undefined, with a named skip, where we are not root or loop devices are not allowed. */
export async function useLoopImage(
  t: SkippableScope,
  options: { readonly megabytes?: number } = {},
): Promise<LoopImage | undefined> {
  const { megabytes = 256 } = options
  const impossible = await whyNot()
  if (impossible !== undefined) {
    t.pass('after a power cut', { skip: impossible })
    return undefined
  }
  const folder = await useFolder(t, 'carillon-power')
  const image = join(folder, '0.img')
  await run('truncate', ['-s', `${megabytes}M`, image])
  await run('mkfs.ext4', ['-q', '-F', image], { env: withSbin() })
  let copies = 0
  const nextCopy = () => {
    copies += 1
    return join(folder, `${copies}.img`)
  }
  try {
    return await mount(t, image, nextCopy)
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error
    t.pass('after a power cut', { skip: `loop devices are not allowed here (${error.message})` })
    return undefined
  }
}

async function mount(t: SkippableScope, image: string, nextCopy: () => string): Promise<LoopImage> {
  const folder = image.replace(/\.img$/, '')
  await mkdir(folder)
  // what nobody synced stays away from the disk for as long as a test takes, not for the usual 5 s
  await run('mount', ['-o', 'loop,commit=600', image, folder], { env: withSbin() })
  // Lazily: a process that was just killed may hold it for a moment.
  t.teardown(() => run('umount', ['-l', folder], { env: withSbin() }))
  // Other uids (PostgreSQL's) work in it, and lost+found would make it "not empty".
  await run('chmod', ['755', folder])
  return {
    folder,
    cutPower: async () => {
      const copy = nextCopy()
      await run('cp', ['--sparse=always', '--reflink=auto', image, copy])
      return mount(t, copy, nextCopy)
    },
  }
}

async function whyNot(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'loop devices are a thing of Linux'
  if (process.getuid?.() !== 0) return 'mounting an image needs root'
  const missing = []
  for (const tool of ['truncate', 'mkfs.ext4', 'mount']) {
    if ((await findOnPath([tool], withSbin().PATH)).length === 0) missing.push(tool)
  }
  return missing.length > 0 ? `${missing.join(', ')} not found` : undefined
}

function withSbin(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` }
}
