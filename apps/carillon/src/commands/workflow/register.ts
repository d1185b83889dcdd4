import type { Command } from 'commander'
import type { CommandContext } from '../../cli.js'
import { type Does, registerTrials } from './register-trials.js'

const FILES = 'YAML or JSON files, and folders of YAML files; default: workflows'

/** `carillon workflow …`: workflows as files in git, their versions, and what tries them. */
export function registerWorkflow(program: Command, does: Does, context: CommandContext): void {
  const workflow = program
    .command('workflow')
    .description('workflows as files: check, push, pull, compare, publish, roll back, test')
    .addHelpText('after', example('carillon workflow validate && carillon workflow push'))

  workflow
    .command('validate')
    .description('check workflow files; every problem with file, line, column and remedy; needs no mesh')
    .argument('[paths...]', FILES)
    .option('--online', 'look templates up in the mesh as well')
    .option('--json', 'as data')
    .addHelpText('after', example('carillon workflow validate workflows/rides/ride-accepted.yaml'))
    .action(
      does(async (paths: string[], options: { online?: boolean; json?: boolean }) => {
        const { validateFiles } = await import('./validate.js')
        return validateFiles({ paths, ...options }, context)
      }),
    )

  workflow
    .command('push')
    .description('publish what differs; nothing is pushed when one file is wrong')
    .argument('[paths...]', FILES)
    .option('--draft', 'keep it as the draft of its key, not in force')
    .option('--shadow', 'judge it on live events beside the published one, without sending')
    .option('--dry-run', 'tell what would be pushed')
    .addHelpText('after', example('carillon workflow push --draft workflows/rides'))
    .action(
      does(async (paths: string[], options: { draft?: boolean; shadow?: boolean; dryRun?: boolean }) => {
        const { push } = await import('./push.js')
        return push({ paths, ...options }, context)
      }),
    )

  workflow
    .command('pull')
    .description('write published workflows as files; exit code 3 when a file differs and is left alone')
    .argument('[folder]', 'default: workflows')
    .option('--force', 'rewrite files that differ; their comments are lost')
    .addHelpText('after', example('carillon workflow pull workflows'))
    .action(
      does(async (folder: string | undefined, options: { force?: boolean }) => {
        const { pull } = await import('./pull.js')
        return pull({ ...(folder === undefined ? {} : { folder }), ...options }, context)
      }),
    )

  workflow
    .command('diff')
    .description('compare files with what is published; exit code 3 when something differs')
    .argument('[paths...]', FILES)
    .addHelpText('after', example('carillon workflow diff || echo "not what is published"'))
    .action(
      does(async (paths: string[]) => {
        const { diff } = await import('./diff.js')
        return diff({ paths }, context)
      }),
    )

  registerVersions(workflow, does, context)
  registerTrials(program, does, context)
}

function registerVersions(workflow: Command, does: Does, context: CommandContext): void {
  workflow
    .command('publish')
    .description('put a version in force that is stored already')
    .argument('<key>', 'of the workflow')
    .argument('[version]', 'its number, draft or shadow', 'draft')
    .addHelpText('after', example('carillon workflow publish ride-accepted draft'))
    .action(
      does(async (key: string, version: string) => {
        const { publishVersion } = await import('./versions.js')
        return publishVersion({ key, version }, context)
      }),
    )

  workflow
    .command('rollback')
    .description('put an earlier version in force again')
    .argument('<key>', 'of the workflow')
    .argument('[version]', 'its number; default: the published one before')
    .addHelpText('after', example('carillon workflow rollback ride-accepted 3'))
    .action(
      does(async (key: string, version: string | undefined) => {
        const { rollback } = await import('./versions.js')
        return rollback({ key, ...(version === undefined ? {} : { version }) }, context)
      }),
    )

  workflow
    .command('versions')
    .description('versions of a workflow, and when each was in force')
    .argument('<key>', 'of the workflow')
    .option('--json', 'as data')
    .addHelpText('after', example('carillon workflow versions ride-accepted'))
    .action(
      does(async (key: string, options: { json?: boolean }) => {
        const { showVersions } = await import('./versions.js')
        return showVersions({ key, ...options }, context)
      }),
    )

  workflow
    .command('list')
    .description('workflows of the mesh: published version, name, drafts and shadows')
    .option('--json', 'as data')
    .addHelpText('after', example('carillon workflow list'))
    .action(
      does(async (options: { json?: boolean }) => {
        const { list } = await import('./versions.js')
        return list(options, context)
      }),
    )
}

const example = (line: string): string => `\nExample:\n  $ ${line}\n`
