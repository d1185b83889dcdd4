import { applyTopology, type PlanRow, planTopology, renderTopology } from '@carillon/jetstream'
import pc from 'picocolors'
import type { CommandContext } from '../cli.js'
import { connectNats } from '../mesh/reach.js'
import { readTopology } from '../mesh/topology-files.js'
import { CommandError, EXIT } from '../terminal/failure.js'

export interface TopologyArguments {
  action: 'plan' | 'apply' | 'drift' | 'render'
  environment: string
  prune?: boolean
  what?: string
}

/** `carillon topology …`: streams and durables as code. */
export async function topology(args: TopologyArguments, context: CommandContext): Promise<number> {
  const wanted = await readTopology(args.environment).catch((error: unknown) => {
    throw unknownEnvironment(args.environment, error)
  })
  if (args.action === 'render') {
    const what = args.what ?? 'permissions'
    if (what !== 'permissions' && what !== 'json' && what !== 'nack') {
      throw new CommandError(`"${what}" can't be rendered.`, {
        remedy: 'Render permissions, json or nack.',
        exitCode: EXIT.usage,
      })
    }
    process.stdout.write(`${renderTopology(wanted, what)}\n`)
    return EXIT.ok
  }
  await using connection = await connectNats(context, 'carillon-topology')
  if (args.action === 'apply') {
    const applied = await applyTopology(connection, wanted, { prune: args.prune === true })
    process.stdout.write(table(applied))
    process.stdout.write(applied.length === 0 ? 'nothing to do\n' : `${applied.length} applied\n`)
    return EXIT.ok
  }
  const rows = (await planTopology(connection, wanted)).filter((row) => row.change !== 'foreign')
  process.stdout.write(table(rows))
  if (rows.length === 0) {
    process.stdout.write('the server is as the file says\n')
    return EXIT.ok
  }
  return EXIT.differs
}

/** The failure itself unless there is no such overlay. */
function unknownEnvironment(name: string, cause: unknown): unknown {
  if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') return cause
  return new CommandError(`There is no environment "${name}".`, {
    remedy: 'Environments are the files in nats/environments, like single or cluster.',
    exitCode: EXIT.usage,
    cause,
  })
}

const MARKS: Readonly<Record<string, string>> = {
  create: pc.green('+'),
  update: pc.yellow('~'),
  immutable: pc.red('!'),
  orphan: pc.red('-'),
}

function table(rows: readonly PlanRow[]): string {
  return rows
    .map((row) => {
      const differences = row.differences.map(
        ({ setting, from, to }) => `\n      ${setting}: ${JSON.stringify(from)} → ${JSON.stringify(to)}`,
      )
      const remedy = row.remedy === undefined ? '' : `\n      ${row.remedy}`
      return `  ${MARKS[row.change] ?? ' '} ${row.kind} ${row.name} ${pc.dim(row.change)}${differences.join('')}${remedy}\n`
    })
    .join('')
}
