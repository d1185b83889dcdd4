import { structuredPatch } from 'diff'
import pc from 'picocolors'
import type { CommandContext } from '../../cli.js'
import { reachEdge } from '../../mesh/reach.js'
import { EXIT } from '../../terminal/failure.js'
import { readSources, tellProblems } from './sources.js'
import { saysTheSame, storedWorkflows, webhookPlace } from './stored.js'
import { writeYaml } from './written.js'

/** Lines around a difference. */
const CONTEXT = 2

/** `carillon workflow diff`: files against what is published. Order, comments and quotes make no difference. */
export async function diff(args: { paths: readonly string[] }, context: CommandContext): Promise<number> {
  const { sources, problems, whole } = await readSources(args.paths, context, await webhookPlace(context))
  if (problems.length > 0) return tellProblems(problems)
  await using carillon = await reachEdge(context, '/carillon/cli')
  const published = await storedWorkflows(carillon, 'published')
  const out = process.stdout
  let differing = 0
  for (const source of sources) {
    const { key } = source.definition
    const stored = published.get(key)
    published.delete(key)
    if (saysTheSame(source, stored)) continue
    differing++
    if (stored === undefined) out.write(`${pc.green('+')} ${key} is new: ${source.file}\n`)
    else {
      out.write(`${pc.yellow('~')} ${key} differs from version ${stored.version}: ${source.file}\n`)
      out.write(lines(writeYaml(stored.definition), writeYaml(source.definition)))
    }
  }
  const onlyThere = whole ? [...published.values()] : []
  for (const { key, version } of onlyThere)
    out.write(`${pc.red('-')} ${key} is only on the server, in version ${version}\n`)
  const same = sources.length - differing
  out.write(`${same} the same, ${differing + onlyThere.length} different\n`)
  return differing + onlyThere.length === 0 ? EXIT.ok : EXIT.differs
}

function lines(before: string, after: string): string {
  const { hunks } = structuredPatch('', '', before, after, '', '', { context: CONTEXT })
  const shown = hunks.map(({ lines: inside }) =>
    inside.filter((line) => !line.startsWith('\\')).map(coloured),
  )
  return `${shown.map((inside) => inside.map((line) => `    ${line}\n`).join('')).join(`    ${pc.dim('…')}\n`)}`
}

function coloured(line: string): string {
  if (line.startsWith('+')) return pc.green(line)
  return line.startsWith('-') ? pc.red(line) : line
}
