import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import type { WorkflowDefinition } from '@carillon/contracts'
import pc from 'picocolors'
import type { CommandContext } from '../../cli.js'
import { reachEdge } from '../../mesh/reach.js'
import { WEBHOOK_PLACE } from '../../mesh/workflow-source.js'
import { EXIT } from '../../terminal/failure.js'
import { ifThere } from '../../terminal/if-there.js'
import { FOLDER, readSources, type Sources } from './sources.js'
import { type StoredWorkflow, saysTheSame, storedWorkflows, webhookPlace } from './stored.js'
import { schemaLine, writeYaml } from './written.js'

/**
 * `carillon workflow pull`: published workflows as files. A file that says the same is left as it is, byte for byte;
 * one that differs is only rewritten when told to, since its comments and its unpushed changes would be gone.
 */
export async function pull(
  args: { folder?: string; force?: boolean },
  context: CommandContext,
): Promise<number> {
  const { base } = context
  const folder = resolve(base, args.folder ?? FOLDER)
  await mkdir(folder, { recursive: true })
  const place = await webhookPlace(context)
  const local = await readSources([folder], context, place)
  const broken = new Map(local.problems.map(({ file }) => [basename(file).replace(/\.[^.]+$/, ''), file]))
  await using carillon = await reachEdge(context, '/carillon/cli')
  const published = await storedWorkflows(carillon, 'published')
  const counts = { written: 0, same: 0, kept: 0 }
  for (const stored of published.values()) {
    const source = local.sources.find(({ definition }) => definition.key === stored.key)
    if (source !== undefined && saysTheSame(source, stored)) {
      counts.same++
      continue
    }
    const own = source?.file ?? broken.get(stored.key)
    const file = own ?? relative(base, join(folder, `${stored.key}.yaml`))
    const isThere = own !== undefined || (await exists(join(base, file)))
    if (isThere && args.force !== true) {
      counts.kept++
      process.stdout.write(`${pc.yellow('!')} ${file} differs from version ${stored.version}\n`)
      continue
    }
    await write(join(base, file), stored, { base, ...place })
    counts.written++
    process.stdout.write(`  ${file}  version ${stored.version}\n`)
  }
  tellLocalOnly(local, published)
  const { written, same, kept } = counts
  process.stdout.write(`${written} written, ${same} the same, ${kept} left alone\n`)
  if (kept === 0) return EXIT.ok
  process.stdout.write(
    '  See what differs: carillon workflow diff. Overwrite: carillon workflow pull --force.\n',
  )
  return EXIT.differs
}

async function write(
  file: string,
  stored: StoredWorkflow,
  { base, webhookUrl }: { base: string; webhookUrl?: string },
): Promise<void> {
  const json = JSON.stringify(stored.definition)
  const placed = webhookUrl === undefined ? json : json.replaceAll(webhookUrl, () => WEBHOOK_PLACE)
  const definition: WorkflowDefinition = JSON.parse(placed)
  const text = file.endsWith('.json')
    ? `${JSON.stringify(definition, null, 2)}\n`
    : `${schemaLine(base, file)}${writeYaml(definition)}`
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, text)
}

function tellLocalOnly(local: Sources, published: ReadonlyMap<string, unknown>): void {
  for (const { definition, file } of local.sources)
    if (!published.has(definition.key)) process.stdout.write(`  ${file} is not published\n`)
}

async function exists(file: string): Promise<boolean> {
  return (await ifThere(readFile(file))) !== undefined
}
