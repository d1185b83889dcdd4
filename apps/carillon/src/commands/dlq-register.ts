import { DELIVERY_CHANNELS, REASONS } from '@carillon/contracts'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { CommandContext } from '../cli.js'
import { momentOf } from '../terminal/moments.js'
import type { Does } from './workflow/register-trials.js'

/** What narrows dead letters down, as it is said on the command line. */
export interface LetterOptions {
  channel?: string
  provider?: string
  reason?: string
  workflow?: string
  user?: string
  from?: Date
  to?: Date
  replayed?: boolean
  /** Letters of streams in place of deliveries, and of which stream and tenant. */
  poison?: boolean
  stream?: string
  tenant?: string
  limit?: number
  json?: boolean
}

export interface RedriveOptions extends LetterOptions {
  all?: boolean
  evenUnknown?: boolean
  dryRun?: boolean
  yes?: boolean
}

/** Reasons with which a delivery fails, as the help tells them. */
export const DEAD_REASONS = REASONS.slice(-5)
const MOMENT = '14:02, "2h ago" or ISO 8601'

/** `carillon dlq …`: what could not be delivered or understood, and sending it off again. */
export function registerDlq(program: Command, does: Does, context: CommandContext): void {
  const dlq = program
    .command('dlq')
    .description('dead letters: list, show, redrive what failed, or what could not be understood (--poison)')
    .addHelpText('after', HELP)

  filtered(dlq.command('list'))
    .description('dead letters, what failed last first')
    .option('--limit <n>', 'most to show (50)', count)
    .option('--json', 'as data')
    .action(
      does(async (options: LetterOptions) => {
        if (options.poison === true) {
          const { listPoison } = await import('./dlq-poison.js')
          return listPoison(options, context)
        }
        const { listLetters } = await import('./dlq.js')
        return listLetters(options, context)
      }),
    )
  dlq
    .command('show')
    .description('one dead letter: what it says, every attempt, and what can be done')
    .argument('<id>', 'from the list')
    .option('--poison', 'a letter of a stream, by its number')
    .option('--json', 'as data')
    .action(
      does(async (id: string, options: { poison?: boolean; json?: boolean }) => {
        if (options.poison === true) {
          const { showPoison } = await import('./dlq-poison.js')
          return showPoison({ id, ...options }, context)
        }
        const { showLetter } = await import('./dlq.js')
        return showLetter({ id, ...options }, context)
      }),
    )
  filtered(dlq.command('redrive'))
    .description('send dead letters off again: by id, by filter, by the time they failed; each goes once')
    .argument('[ids...]', 'from the list; none: what the options say')
    .option('--all', 'every one')
    .option('--even-unknown', 'also what may have been sent: an attempt has no known outcome')
    .option('--dry-run', 'only tell what would be done')
    .option('--yes', 'do not ask')
    .option('--json', 'as data')
    .addHelpText('after', REDRIVE_HELP)
    .action(
      does(async (ids: string[], options: RedriveOptions) => {
        if (options.poison === true) {
          const { redrivePoison } = await import('./dlq-poison.js')
          return redrivePoison({ ids, ...options }, context)
        }
        const { redriveLetters } = await import('./dlq-redrive.js')
        return redriveLetters({ ids, ...options }, context)
      }),
    )
}

function filtered(command: Command): Command {
  return command
    .addOption(new Option('--channel <channel>', 'of which channel').choices([...DELIVERY_CHANNELS]))
    .option('--provider <kind>', 'whom the last attempt went through')
    .option(
      '--reason <reason>',
      `why: ${DEAD_REASONS.join(', ')}; of a poison letter: what its reason contains`,
    )
    .option('--workflow <key>', 'of which workflow')
    .option('--user <id>', 'to whom, as you call them')
    .option('--from <moment>', `failed then or later: ${MOMENT}`, moment)
    .option('--to <moment>', 'failed before then', moment)
    .option('--replayed', 'only what was sent off again before and failed again')
    .option('--no-replayed', 'only what never was')
    .option('--poison', 'messages that could not be processed, over NATS, in place of deliveries that failed')
    .option('--stream <name>', 'of a poison letter: where it was, like EVENTS')
    .option('--tenant <id>', 'of a poison letter: whose')
}

const HELP = `
A delivery that failed keeps its words, its attempts and its address, and can be sent off again once the cause is mended.
A poison message could not be understood, or killed its worker; it is published again where it was.

  $ carillon dlq list --channel push --from "2h ago"
  $ carillon dlq show <id>
`
const REDRIVE_HELP = `
The provider was down from 14:02 to 14:40: send what never went, and nothing else.

  $ carillon dlq redrive --provider fcm --from 14:02 --to 14:40 --dry-run
  $ carillon dlq redrive --provider fcm --from 14:02 --to 14:40

Nothing goes after it expires, to an address that is gone, or twice. What may have been sent is left out unless
--even-unknown. The same again sends only what is left. Exit code: 0 done, 1 nothing of what was named went, 2 a wrong
call, 130 not confirmed.
`

function moment(text: string): Date {
  const found = momentOf(text, new Date())
  if (found === undefined) throw new InvalidArgumentError(`It must be a moment: ${MOMENT}.`)
  return found
}

function count(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > 100_000)
    throw new InvalidArgumentError('It must be a whole number, 1 to 100000.')
  return value
}
