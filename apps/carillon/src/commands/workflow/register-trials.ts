import type { Command } from 'commander'
import type { CommandContext } from '../../cli.js'

/** Makes a command's action of what gives its exit code. */
export type Does = <A extends unknown[]>(work: (...args: A) => Promise<number>) => (...args: A) => void

/** `carillon workflow test`, `backtest` and `shadow`: what tries workflows before they tell anybody anything. */
export function registerTrials(program: Command, does: Does, context: CommandContext): void {
  const workflow =
    program.commands.find((command) => command.name() === 'workflow') ??
    program.command('workflow').description('try workflows before they tell anybody anything')

  workflow
    .command('test')
    .description('play events through workflows and compare what they decide (*.test.yaml); needs no mesh')
    .argument('[paths...]', 'folders and test files; default: workflows')
    .option('--update', 'write what happens as what is expected')
    .option('--json', 'as data')
    .action(
      does(async (paths: string[], options: { update?: boolean; json?: boolean }) => {
        const { testWorkflows } = await import('./test.js')
        return testWorkflows({ paths, ...options }, context)
      }),
    )

  workflow
    .command('backtest')
    .description('replay recorded events through a draft and the published version; sends nothing')
    .argument('<draft>', 'a workflow file, or the key of one that has a draft or a shadow')
    .option('--since <when>', 'how long ago, or a moment', '7d')
    .option('--until <when>', 'default: now')
    .option('--limit <n>', 'most events', Number, 100_000)
    .option('--json', 'as data')
    .action(
      does(
        async (draft: string, options: { since: string; until?: string; limit: number; json?: boolean }) => {
          const { backtestWorkflow } = await import('./backtest.js')
          return backtestWorkflow({ draft, ...options }, context)
        },
      ),
    )

  workflow
    .command('shadow')
    .description('what the shadow of a workflow would have told, beside what was told (push --shadow)')
    .argument('<key>', 'of the workflow')
    .option('--json', 'as data')
    .action(
      does(async (key: string, options: { json?: boolean }) => {
        const { showShadow } = await import('./shadow.js')
        return showShadow({ key, ...options }, context)
      }),
    )
}
