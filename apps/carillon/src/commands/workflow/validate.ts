import { type CarillonClient, CarillonClientError } from '@carillon/sdk'
import pc from 'picocolors'
import type { CommandContext } from '../../cli.js'
import { reachEdge } from '../../mesh/reach.js'
import type { SourceProblem, WorkflowSource } from '../../mesh/workflow-source.js'
import { EXIT } from '../../terminal/failure.js'
import { createProgress } from '../../terminal/progress.js'
import { readSources, tellProblems } from './sources.js'

/** `carillon workflow validate`: every problem with its place. Needs no mesh; with one, templates are looked up too. */
export async function validateFiles(
  args: { paths: readonly string[]; online?: boolean; json?: boolean },
  context: CommandContext,
): Promise<number> {
  const { files, sources, problems } = await readSources(args.paths, context)
  if (args.online === true) {
    await using carillon = await reachEdge(context, '/carillon/cli')
    problems.push(...(await askEdge(carillon, sources, 'published')))
  }
  if (args.json === true) {
    process.stdout.write(`${JSON.stringify({ ok: problems.length === 0, files, problems }, null, 2)}\n`)
    return problems.length === 0 ? EXIT.ok : EXIT.failed
  }
  if (problems.length > 0) return tellProblems(problems)
  process.stdout.write(`${pc.green('✓')} ${files} workflow${files === 1 ? '' : 's'} can be published\n`)
  return EXIT.ok
}

/** What the edge says against workflows that have nothing wrong by themselves: templates it doesn't have. */
export async function askEdge(
  carillon: CarillonClient,
  sources: readonly WorkflowSource[],
  as: 'published' | 'draft' | 'shadow',
): Promise<SourceProblem[]> {
  const problems: SourceProblem[] = []
  await createProgress(process.stderr).step('check with the templates in force', async (detail) => {
    for (const [index, source] of sources.entries()) {
      detail(`${index + 1} of ${sources.length}`)
      try {
        await carillon.validateWorkflow(JSON.stringify(source.definition), { as })
      } catch (error) {
        if (!(error instanceof CarillonClientError) || error.code !== 'WORKFLOW_INVALID') throw error
        for (const { field, detail: message } of error.errors)
          problems.push(source.problemAt(field, { message, remedy: '' }))
      }
    }
  })
  return problems
}
