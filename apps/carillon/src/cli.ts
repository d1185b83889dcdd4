import { Command, InvalidArgumentError } from 'commander'
import { registerChannel } from './commands/channel-register.js'
import { registerDlq } from './commands/dlq-register.js'
import { registerBounce, registerProvider } from './commands/provider-register.js'
import { registerWorkflow } from './commands/workflow/register.js'
import { ROLE_NAMES } from './mesh/role-names.js'
import { describeFailure, EXIT, exitCodeOf } from './terminal/failure.js'

/** Where a command works and what it is told by its environment. */
export interface CommandContext {
  base: string
  env: NodeJS.ProcessEnv
}

/** Source of events that `publish` makes. */
const CLI_SOURCE = '/carillon/cli'

/** Runs the command line and sets the exit code: 0 done, 1 failed, 2 wrong call or configuration. */
export async function main(argv: readonly string[]): Promise<void> {
  const context: CommandContext = { base: process.cwd(), env: process.env }
  // a reader like head went away: nobody wants the rest
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(EXIT.ok)
  })
  try {
    process.exitCode = await run(argv, context)
  } catch (error) {
    process.stderr.write(`${describeFailure(error)}\n`)
    process.exitCode = exitCodeOf(error)
  }
}

async function run(argv: readonly string[], context: CommandContext): Promise<number> {
  let result: Promise<number> = Promise.resolve(EXIT.ok)
  const program = new Command('carillon')
    .description('One event in, every bell rings: the notification mesh on NATS JetStream.')
    .exitOverride()
    .showHelpAfterError('(carillon --help shows every command)')
  const does =
    <A extends unknown[]>(work: (...args: A) => Promise<number>) =>
    (...args: A) => {
      result = work(...args)
    }

  program
    .command('up')
    .description(
      'run the whole mesh on this machine: engines, roles, simulators and the dev inbox, on one port',
    )
    .option('--once', 'ring once, wait until every bell has rung, print one line per bell and stop')
    .option('--port <port>', 'port to listen on; default: the one of last time, else a free one', port)
    .option('--no-open', 'do not open the dev inbox in a browser')
    .action(
      does(async (options: { once?: boolean; port?: number; open: boolean }) => {
        const { up } = await import('./commands/up.js')
        return up(options, context)
      }),
    )

  program
    .command('serve')
    .description(`run roles alone, for production (${ROLE_NAMES.join(', ')})`)
    .requiredOption('--roles <roles>', 'comma-separated roles, or all')
    .action(
      does(async (options: { roles: string }) => {
        const { serve } = await import('./commands/serve.js')
        return serve(options, context)
      }),
    )

  program
    .command('publish')
    .description('publish one event through the edge; data is JSON or - for standard input')
    .argument('<type>', 'CloudEvents type, like rides.ride.accepted.v1')
    .argument('[data]', 'JSON', '{}')
    .option('--id <id>', 'event id; the same id again rings nobody twice')
    .option('--source <source>', 'CloudEvents source', CLI_SOURCE)
    .option('--lane <lane>', 'high, normal or bulk', 'normal')
    .action(
      does(async (type: string, data: string, options: { id?: string; source: string; lane: string }) => {
        const { publish } = await import('./commands/publish.js')
        return publish({ type, data, ...options }, context)
      }),
    )

  program
    .command('tail')
    .description('show what goes through the mesh, as it goes')
    .argument('[stream]', 'events, jobs, live, receipts, audit or dead', 'events')
    .option('--count <n>', 'stop after so many messages', integer)
    .action(
      does(async (stream: string, options: { count?: number }) => {
        const { tail } = await import('./commands/tail.js')
        return tail({ stream, ...options }, context)
      }),
    )

  program
    .command('explain')
    .description('why did, or did not, somebody get it: the story of a notification or of an event')
    .argument('<id>', 'id of a notification or of an event')
    .option('--user <id>', 'whose story of the event')
    .option('--source <source>', 'CloudEvents source of the event', CLI_SOURCE)
    .option('--json', 'as data')
    .action(
      does(async (id: string, options: { user?: string; source: string; json?: boolean }) => {
        const { explainNotification } = await import('./commands/explain.js')
        return explainNotification({ id, ...options }, context)
      }),
    )

  const topologyCommand = program
    .command('topology')
    .description('streams and durables as code (nats/topology.yaml)')
  for (const [action, description] of [
    ['plan', 'show what apply would change; exit code 0: nothing, 3: something'],
    ['apply', 'create and change what differs; deletes nothing unless --prune'],
    ['drift', 'compare the server with the file; exit code 3 when it drifted'],
    ['render', 'print permissions, JSON or NACK resources'],
  ] as const) {
    const command = topologyCommand
      .command(action)
      .description(description)
      .option('--environment <name>', 'overlay in nats/environments', 'single')
    if (action === 'apply')
      command.option('--prune', 'also delete what carries our mark and is no longer in the file')
    if (action === 'render') command.argument('[what]', 'permissions, json or nack', 'permissions')
    command.action(
      does(async (...args: unknown[]) => {
        const { topology } = await import('./commands/topology.js')
        const what = action === 'render' ? (args[0] as string) : undefined
        const options = (action === 'render' ? args[1] : args[0]) as { environment: string; prune?: boolean }
        return topology({ action, ...options, ...(what === undefined ? {} : { what }) }, context)
      }),
    )
  }

  program
    .command('migrate')
    .description('bring the database (DATABASE_OWNER_URL) to this version and make partitions ahead')
    .action(
      does(async () => {
        const { migrateDatabase } = await import('./commands/migrate.js')
        return migrateDatabase(context)
      }),
    )

  program
    .command('doctor')
    .description('check configuration, engines, versions, topology, schema, clock and disk')
    .action(
      does(async () => {
        const { doctor } = await import('./commands/doctor.js')
        return doctor(context)
      }),
    )

  program
    .command('config')
    .description('print the effective configuration of roles, secrets masked')
    .option('--roles <roles>', 'comma-separated roles, or all', 'all')
    .action(
      does(async (options: { roles: string }) => {
        const { showConfig } = await import('./commands/serve.js')
        return showConfig(options, context)
      }),
    )

  program
    .command('reset')
    .description("delete this folder's engines' data and keys (.carillon); fetched programs are kept")
    .option('--yes', 'do not ask')
    .action(
      does(async (options: { yes?: boolean }) => {
        const { reset } = await import('./commands/reset.js')
        return reset(options, context)
      }),
    )

  program
    .command('demo')
    .description('play one ride through the ride-hailing backend and tell what rang where')
    .option('--fast', 'do not wait between the steps')
    .action(
      does(async (options: { fast?: boolean }) => {
        const { demo } = await import('./commands/demo.js')
        return demo(options, context)
      }),
    )

  program
    .command('chaos')
    .description('kill every process at random under a steady load, then check what must hold')
    .option('--minutes <n>', 'how long; every kind of fault comes at least once', Number)
    .option('--seed <n>', 'the same seed gives the same faults', integer)
    .option(
      '--deliveries <n>',
      'instead: bring so many to failing providers while the worker is killed, then ask of each what became of it',
      integer,
    )
    .option('--outage <seconds>', 'with --deliveries: how long FCM is down (120)', integer)
    .option('--json <file>', 'write the report as JSON')
    .action(
      does(
        async ({
          deliveries,
          outage: outageSeconds,
          ...options
        }: {
          minutes?: number
          seed?: number
          deliveries?: number
          outage?: number
          json?: string
        }) => {
          if (deliveries !== undefined) {
            const { soak } = await import('./chaos/soak.js')
            return soak({ deliveries, ...(outageSeconds === undefined ? {} : { outageSeconds }), ...options })
          }
          const { chaos } = await import('./chaos/chaos.js')
          return chaos(options)
        },
      ),
    )

  program
    .command('bench')
    .description(
      'measure: broadcast, dispatch, waking, push, otp, realtime, idle. Prints a table; --json writes the rows to a file',
    )
    .argument('[suites...]', 'broadcast, dispatch, waking, push, otp, realtime, idle; all when none is named')
    .option('--json <file>', 'write the rows as JSON')
    .option('--seconds <n>', 'length of the idle measurement, longest round of the push one', integer)
    .option('--users <n>', 'people of the broadcast and otp measurements', integer)
    .option('--runs <n>', 'runs that wait in the waking measurement', integer)
    .option('--messages <n>', 'messages of a round of the push measurement', integer)
    .option('--clients <n>', 'clients of the realtime measurement', integer)
    .option('--rows <names>', 'parts of the realtime measurement: fan-out,memory,storm,latency')
    .action(
      does(
        async (
          suites: string[],
          options: {
            json?: string
            seconds?: number
            users?: number
            runs?: number
            messages?: number
            clients?: number
            rows?: string
          },
        ) => {
          const { bench } = await import('./bench/bench.js')
          return bench({ suites, ...options }, context)
        },
      ),
    )

  registerBounce(program, does, context)
  registerProvider(program, does, context)
  registerChannel(program, does, context)
  registerDlq(program, does, context)
  registerWorkflow(program, does, context)

  try {
    await program.parseAsync([...argv])
  } catch (error) {
    return commanderExit(error)
  }
  return result
}

/** commander ends help and wrong calls by throwing; help is no failure. */
function commanderExit(error: unknown): number {
  const { code, exitCode } = error as { code?: string; exitCode?: number }
  if (code === undefined || !code.startsWith('commander.')) throw error
  return exitCode === 0 || code === 'commander.help' ? EXIT.ok : EXIT.usage
}

function integer(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('It must be a whole number above 0.')
  return value
}

function port(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0 || value > 65_535)
    throw new InvalidArgumentError('It must be a port, 0 to 65535.')
  return value
}
