import { type Command, InvalidArgumentError } from 'commander'
import type { CommandContext } from '../cli.js'
import type { Does } from './workflow/register-trials.js'

const CHANNEL = 'room:<id> or latest:<id>'
const NAMESPACE = 'what stands before the first dash: ride for room:ride-9'

/** `carillon channel …`: how rooms behave, and what is said in them, over the HTTP API. */
export function registerChannel(program: Command, does: Does, context: CommandContext): void {
  const channel = program
    .command('channel')
    .description('rooms: rules of their namespaces, publish, read back')

  channel
    .command('rules')
    .description('how the rooms of each namespace behave')
    .option('--json', 'as data')
    .action(
      does(async (options: { json?: boolean }) => {
        const { listRules } = await import('./channel.js')
        return listRules(options, context)
      }),
    )
  channel
    .command('put')
    .description('make or replace the rule of a namespace; what is left out is as by default')
    .argument('<namespace>', NAMESPACE)
    .option('--authorise', 'ask services about whom a token lets in no further')
    .option('--allow <permissions>', 'what everybody let in may do besides, comma-separated; "" for nothing')
    .option('--no-joins', 'tell nobody who comes and goes')
    .option('--schema <file>', 'JSON Schema of what may be published, - for standard input')
    .addHelpText('after', '\nExample:\n  $ carillon channel put ride --authorise --schema location.json\n')
    .action(
      does(
        async (
          namespace: string,
          options: { authorise?: boolean; allow?: string; joins: boolean; schema?: string },
        ) => {
          const { putRule } = await import('./channel.js')
          return putRule({ namespace, ...options }, context)
        },
      ),
    )
  channel
    .command('delete')
    .description('take the rule of a namespace away')
    .argument('<namespace>', NAMESPACE)
    .action(
      does(async (namespace: string) => {
        const { deleteRule } = await import('./channel.js')
        return deleteRule({ namespace }, context)
      }),
    )
  channel
    .command('publish')
    .description('publish into a room; data is a JSON object or - for standard input')
    .argument('<channel>', CHANNEL)
    .argument('<data>', 'JSON')
    .option('--from <user>', 'who is shown as the publisher')
    .option('--key <key>', 'latest: newer ones of the same key replace it')
    .option('--idempotency-key <key>', 'room: stored once for it within two minutes')
    .action(
      does(
        async (
          name: string,
          data: string,
          options: { from?: string; key?: string; idempotencyKey?: string },
        ) => {
          const { publishTo } = await import('./channel.js')
          return publishTo({ channel: name, data, ...options }, context)
        },
      ),
    )
  channel
    .command('history')
    .description('what is kept of a room, one line for each, oldest first')
    .argument('<channel>', 'room:<id>')
    .option('--since <offset>', 'what came after this offset', whole)
    .option('--limit <n>', 'at most so many, 1 to 200; 50 unless said', whole)
    .action(
      does(async (name: string, options: { since?: number; limit?: number }) => {
        const { showHistory } = await import('./channel.js')
        return showHistory({ channel: name, ...options }, context)
      }),
    )
}

function whole(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(text)
}
