import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import type { CommandContext } from '../cli.js'
import { openMeshFolder } from '../mesh/folder.js'
import { holder } from '../mesh/lock.js'
import { CommandError, EXIT } from '../terminal/failure.js'

/** `carillon reset`: deletes data and keys. Refused while a mesh runs there. */
export async function reset(args: { yes?: boolean }, context: CommandContext): Promise<number> {
  const folder = await openMeshFolder(context.base, context.env.CARILLON_DIR)
  const owner = await holder(folder.lock)
  if (owner !== undefined) {
    throw new CommandError(`The mesh runs (process ${owner}).`, { remedy: 'Stop it with Ctrl-C first.' })
  }
  if (args.yes !== true && !(await confirmed(folder.root))) return EXIT.failed
  const { keys, port, lock, addresses, webhookUrl } = folder
  for (const path of [join(folder.root, 'data'), keys, port, lock, addresses, webhookUrl]) {
    await rm(path, { recursive: true, force: true })
  }
  process.stdout.write('everything is wiped; the next start begins anew\n')
  return EXIT.ok
}

async function confirmed(root: string): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new CommandError('Nobody can be asked here.', {
      remedy: 'Say carillon reset --yes.',
      exitCode: EXIT.usage,
    })
  }
  const questions = createInterface({ input: process.stdin, output: process.stdout })
  const answer = await questions.question(`Delete all data and keys in ${root}? Type yes: `)
  questions.close()
  return answer.trim() === 'yes'
}
