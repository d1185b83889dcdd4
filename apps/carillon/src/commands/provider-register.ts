import { type Command, InvalidArgumentError } from 'commander'
import type { CommandContext } from '../cli.js'
import type { Does } from './workflow/register-trials.js'

interface Account {
  app?: string
  name?: string
}

const KIND = 'fcm, apns, webpush, smtp, sms or webhook'

/** `carillon provider …`: accounts at providers, over the HTTP API. */
export function registerProvider(program: Command, does: Does, context: CommandContext): void {
  const provider = program
    .command('provider')
    .description('accounts at providers: list, put, check, pause, resume, delete')
  const ofAccount = (name: string, description: string) =>
    provider
      .command(name)
      .description(description)
      .argument('<kind>', KIND)
      .option('--app <app>', 'of which app; default: for all that have none of their own')
      .option('--name <name>', 'which of several accounts of one kind and app')

  provider
    .command('list')
    .description('accounts in the order in which they are used; exit code 0 also when one is on hold')
    .option('--json', 'as data')
    .action(
      does(async (options: { json?: boolean }) => {
        const { listAccounts } = await import('./provider.js')
        return listAccounts(options, context)
      }),
    )
  ofAccount('put', 'try credentials out and save them, or change how an account is used')
    .argument('[file]', 'credentials as JSON, - for standard input; left out, they stay as they are')
    .option('--settings <json>', 'paces, like {"perSecond":50}')
    .option('--position <n>', 'lower is used sooner', position)
    .option('--no-check', 'save without asking the provider')
    .addHelpText('after', '\nExample:\n  $ carillon provider put smtp credentials.json\n')
    .action(
      does(
        async (
          kind: string,
          file: string | undefined,
          options: Account & { settings?: string; position?: number; check: boolean },
        ) => {
          const { putAccount } = await import('./provider.js')
          return putAccount({ kind, ...(file === undefined ? {} : { file }), ...options }, context)
        },
      ),
    )
  ofAccount('check', 'ask the provider whether it takes the stored credentials; exit code 1 when not').action(
    does(async (kind: string, options: Account) => {
      const { checkAccount } = await import('./provider.js')
      return checkAccount({ kind, ...options }, context)
    }),
  )
  ofAccount('pause', 'send nothing through an account until it is resumed').action(
    does(async (kind: string, options: Account) => {
      const { pauseAccount } = await import('./provider.js')
      return pauseAccount({ kind, ...options }, context)
    }),
  )
  ofAccount('resume', 'use an account again that is paused or on hold').action(
    does(async (kind: string, options: Account) => {
      const { resumeAccount } = await import('./provider.js')
      return resumeAccount({ kind, ...options }, context)
    }),
  )
  ofAccount('delete', 'forget the credentials of an account').action(
    does(async (kind: string, options: Account) => {
      const { deleteAccount } = await import('./provider.js')
      return deleteAccount({ kind, ...options }, context)
    }),
  )
}

/** `carillon bounce`: what a mail server pipes mails to that came back. */
export function registerBounce(program: Command, does: Does, context: CommandContext): void {
  program
    .command('bounce')
    .description('hand in a mail that came back, from standard input; for aliases and pipes of a mail server')
    .option('--recipient <address>', 'the address that it came to; default: what the mail server tells')
    .action(
      does(async (options: { recipient?: string }) => {
        const { bounce } = await import('./bounce.js')
        return bounce(options, context)
      }),
    )
}

function position(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0 || value > 1000)
    throw new InvalidArgumentError('It must be a whole number, 0 to 1000.')
  return value
}
