import { readFile } from 'node:fs/promises'
import { type CarillonClient, CarillonClientError } from '@carillon/sdk'
import pc from 'picocolors'
import type { CommandContext } from '../cli.js'
import { reachEdge } from '../mesh/reach.js'
import { CommandError, EXIT } from '../terminal/failure.js'
import { readInput } from '../terminal/read-input.js'

/** Which of the tenant's accounts of a kind. */
export interface AccountArguments {
  kind: string
  app?: string
  name?: string
}

interface Provider {
  channel: string
  kind: string
  app: string
  name: string
  position: number
  status: string
  heldUntil: string | null
  heldReason: string | null
}

interface Checked {
  checked: 'ok' | 'refused' | 'unreachable' | 'skipped'
  reason: string | null
  remedy: string | null
}

/** `carillon provider list`: accounts in the order in which they are used, and what stands in their way. */
export async function listAccounts(args: { json?: boolean }, context: CommandContext): Promise<number> {
  await using carillon = await reachEdge(context, '/carillon/cli')
  const { providers } = await carillon.call<{ providers: Provider[] }>('GET', '/v1/providers')
  if (args.json === true) {
    process.stdout.write(`${JSON.stringify(providers, null, 2)}\n`)
    return EXIT.ok
  }
  if (providers.length === 0) process.stdout.write('no accounts; carillon provider put makes one\n')
  for (const provider of providers) {
    const { channel, kind, app, name, position } = provider
    const line = [
      channel.padEnd(8),
      kind.padEnd(8),
      app.padEnd(12),
      name.padEnd(12),
      `${position}`.padStart(3),
    ]
    process.stdout.write(`${line.join(' ')}  ${conditionOf(provider)}\n`)
  }
  return EXIT.ok
}

/** `carillon provider put`: new credentials from a file or standard input, never from the command line. */
export async function putAccount(
  args: AccountArguments & {
    file?: string
    settings?: string
    position?: number
    check: boolean
  },
  context: CommandContext,
): Promise<number> {
  const { kind, app, name, file, position, check } = args
  const credentials =
    file === undefined ? undefined : parseJson(await readText(file), `The credentials in ${file} are`)
  if (file === undefined && args.settings === undefined && position === undefined) {
    throw new CommandError('Nothing says what to change.', {
      remedy:
        'Name a file with the credentials as JSON, - for standard input, or give --settings or --position.',
      exitCode: EXIT.usage,
    })
  }
  const settings = args.settings === undefined ? undefined : parseJson(args.settings, 'The settings are')
  await using carillon = await reachEdge(context, '/carillon/cli')
  const path = `/v1/providers/${encodeURIComponent(kind)}${check ? '' : '?check=false'}`
  const body = { app, name, credentials, settings, position }
  const put = await carillon.call<Provider & { checked: string; warning?: string }>('PUT', path, body)
  if (put.warning !== undefined) process.stderr.write(`${pc.yellow(`not tried out: ${put.warning}`)}\n`)
  process.stdout.write(`${titleOf(put)} ${put.checked === 'ok' ? 'was tried out and saved' : 'saved'}\n`)
  return EXIT.ok
}

/** `carillon provider check`: asks the provider again. Exit code 1 unless it lets us in. */
export async function checkAccount(args: AccountArguments, context: CommandContext): Promise<number> {
  await using carillon = await reachEdge(context, '/carillon/cli')
  const { checked, reason, remedy } = await callAccount<Checked>(carillon, 'POST', args, '/check')
  if (checked === 'ok') process.stdout.write(`${pc.green('✓')} the provider lets us in\n`)
  else if (checked === 'skipped') process.stdout.write('well formed; there is nobody to ask\n')
  else process.stdout.write(`${pc.red(`✗ ${checked}: ${reason}`)}\n  ${remedy}\n`)
  return checked === 'ok' || checked === 'skipped' ? EXIT.ok : EXIT.failed
}

/** `carillon provider pause`: nothing goes through the account until it is resumed. */
export async function pauseAccount(args: AccountArguments, context: CommandContext): Promise<number> {
  await using carillon = await reachEdge(context, '/carillon/cli')
  const { kind, app, name } = args
  const body = { app, name, status: 'paused' }
  const paused = await carillon.call<Provider>('PUT', `/v1/providers/${encodeURIComponent(kind)}`, body)
  process.stdout.write(`${titleOf(paused)} is paused\n`)
  return EXIT.ok
}

/** `carillon provider resume`: ends a pause, and lifts a hold. */
export async function resumeAccount(args: AccountArguments, context: CommandContext): Promise<number> {
  await using carillon = await reachEdge(context, '/carillon/cli')
  const resumed = await callAccount<Provider>(carillon, 'POST', args, '/resume')
  process.stdout.write(`${titleOf(resumed)} is used again\n`)
  return EXIT.ok
}

/** `carillon provider delete`: forgets the credentials. */
export async function deleteAccount(args: AccountArguments, context: CommandContext): Promise<number> {
  await using carillon = await reachEdge(context, '/carillon/cli')
  await callAccount(carillon, 'DELETE', args)
  process.stdout.write(`${args.kind} ${args.app ?? 'default'}/${args.name ?? 'default'} is forgotten\n`)
  return EXIT.ok
}

async function callAccount<T>(
  carillon: CarillonClient,
  method: string,
  { kind, app = 'default', name = 'default' }: AccountArguments,
  action = '',
): Promise<T> {
  const query = new URLSearchParams({ app, name }).toString()
  try {
    return await carillon.call<T>(method, `/v1/providers/${encodeURIComponent(kind)}${action}?${query}`)
  } catch (error) {
    if (!(error instanceof CarillonClientError) || error.status !== 404) throw error
    throw new CommandError(`There is no ${kind} account "${name}" of the app "${app}".`, {
      remedy: 'See which there are: carillon provider list',
      cause: error,
    })
  }
}

function titleOf({ kind, app, name }: Provider): string {
  return `${kind} ${app}/${name}`
}

function conditionOf({ status, heldUntil, heldReason }: Provider): string {
  if (status !== 'active') return pc.yellow(status)
  const held = heldUntil !== null && Date.parse(heldUntil) > Date.now()
  return held ? pc.red(`on hold until ${heldUntil}: ${heldReason}`) : status
}

async function readText(file: string): Promise<string> {
  if (file === '-') return (await readInput()).toString('utf8')
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new CommandError(`${file} can't be read.`, {
      remedy: 'Name a file with the credentials as JSON, or - for standard input.',
      exitCode: EXIT.usage,
      cause,
    })
  }
}

/** What is no JSON is not shown: it may be a secret. @throws CommandError */
function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new CommandError(`${what} not JSON.`, {
      remedy: 'Give one JSON object, like {"host":"mail.example.com"} or {"perSecond":50}.',
      exitCode: EXIT.usage,
    })
  }
}
