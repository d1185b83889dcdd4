import { type CarillonClient, CarillonClientError } from '@carillon/sdk'
import pc from 'picocolors'
import type { CommandContext } from '../../cli.js'
import { reachEdge } from '../../mesh/reach.js'
import type { WorkflowSource } from '../../mesh/workflow-source.js'
import { CommandError, EXIT } from '../../terminal/failure.js'
import { createProgress } from '../../terminal/progress.js'
import { readSources, tellProblems } from './sources.js'
import { type StoredWorkflow, saysTheSame, storedWorkflows, webhookPlace } from './stored.js'
import { askEdge } from './validate.js'

export interface PushArguments {
  paths: readonly string[]
  draft?: boolean
  shadow?: boolean
  dryRun?: boolean
}

type As = 'published' | 'draft' | 'shadow'

/** `carillon workflow push`: all files or none, as far as they can be checked; what is there already stays as it is. */
export async function push(args: PushArguments, context: CommandContext): Promise<number> {
  if (args.draft === true && args.shadow === true) {
    throw new CommandError('A version is a draft or a shadow.', {
      remedy: 'Say --draft or --shadow.',
      exitCode: EXIT.usage,
    })
  }
  const as: As = args.draft === true ? 'draft' : args.shadow === true ? 'shadow' : 'published'
  const { sources, problems } = await readSources(args.paths, context, await webhookPlace(context))
  if (problems.length > 0) return tellProblems(problems)
  await using carillon = await reachEdge(context, '/carillon/cli')
  const refused = await askEdge(carillon, sources, as)
  if (refused.length > 0) return tellProblems(refused)
  const published = await storedWorkflows(carillon, 'published')
  const there = as === 'published' ? published : await storedWorkflows(carillon, as)
  const news = sources.filter((source) => !saysTheSame(source, there.get(source.definition.key)))
  let pushed = 0
  await createProgress(process.stderr).step(`push ${news.length} workflows`, async (detail) => {
    for (const [index, source] of news.entries()) {
      detail(`${index + 1} of ${news.length}`)
      const { key } = source.definition
      const former = published.get(key)?.version
      if (args.dryRun === true) tell(key, former, `${as === 'published' ? 'next' : as}`)
      else if (await pushOne(carillon, source, { as, published: published.get(key) })) pushed++
    }
  })
  const done = args.dryRun === true ? `${news.length} would be pushed` : `${pushed} pushed`
  process.stdout.write(
    `${done}, ${sources.length - (args.dryRun === true ? news.length : pushed)} unchanged\n`,
  )
  return EXIT.ok
}

async function pushOne(
  carillon: CarillonClient,
  { definition }: WorkflowSource,
  { as, published }: { as: As; published: StoredWorkflow | undefined },
): Promise<boolean> {
  const { key } = definition
  const former = published?.version
  try {
    const { version, changed } = await carillon.putWorkflow(JSON.stringify(definition), key, {
      as,
      ...(as === 'published' ? { expect: former ?? 0 } : {}),
    })
    if (changed) tell(key, former, as === 'published' ? `${version}` : `${as} ${version}`)
    return changed
  } catch (error) {
    if (!(error instanceof CarillonClientError) || error.code !== 'WORKFLOW_MOVED') throw error
    throw new CommandError(`Somebody else has published "${key}" meanwhile. ${error.message}`, {
      remedy: 'See what they did with carillon workflow diff, then push again.',
      cause: error,
    })
  }
}

function tell(key: string, from: number | undefined, to: string): void {
  process.stdout.write(`  ${key}  ${from ?? 'none'} ${pc.dim('→')} ${to}\n`)
}
