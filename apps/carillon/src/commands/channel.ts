import { readFile } from 'node:fs/promises'
import {
  CHANNEL_PERMISSIONS,
  type ChannelPermission,
  type ChannelRule,
  parseChannelName,
} from '@carillon/contracts'
import pc from 'picocolors'
import type { CommandContext } from '../cli.js'
import { reachEdge } from '../mesh/reach.js'
import { CommandError, EXIT } from '../terminal/failure.js'
import { readInput } from '../terminal/read-input.js'

const SOURCE = '/carillon/cli'

/** `carillon channel rules`: one line for each namespace. */
export async function listRules(args: { json?: boolean }, context: CommandContext): Promise<number> {
  await using carillon = await reachEdge(context, SOURCE)
  const rules = await carillon.channelRules()
  if (args.json === true) process.stdout.write(`${JSON.stringify(rules, null, 2)}\n`)
  else if (rules.length === 0) process.stdout.write('no rules; carillon channel put makes one\n')
  else for (const rule of rules) process.stdout.write(`${lineOf(rule)}\n`)
  return EXIT.ok
}

/** `carillon channel put`: the whole rule anew. */
export async function putRule(
  args: { namespace: string; authorise?: boolean; allow?: string; joins: boolean; schema?: string },
  context: CommandContext,
): Promise<number> {
  const { namespace, authorise = false, allow, joins, schema } = args
  const rule = {
    authorise,
    joins,
    ...(allow === undefined ? {} : { allow: permissionsIn(allow) }),
    ...(schema === undefined ? {} : { schema: parseObject(await readText(schema), 'The schema') }),
  }
  await using carillon = await reachEdge(context, SOURCE)
  process.stdout.write(`${lineOf(await carillon.putChannelRule(namespace, rule))}\n`)
  return EXIT.ok
}

/** `carillon channel delete`: its rooms behave as by default. */
export async function deleteRule(args: { namespace: string }, context: CommandContext): Promise<number> {
  await using carillon = await reachEdge(context, SOURCE)
  await carillon.deleteChannelRule(args.namespace)
  process.stdout.write(`${args.namespace} has no rule of its own\n`)
  return EXIT.ok
}

/** `carillon channel publish` */
export async function publishTo(
  args: { channel: string; data: string; from?: string; key?: string; idempotencyKey?: string },
  context: CommandContext,
): Promise<number> {
  const { channel, data, ...options } = args
  checkChannel(channel)
  const given = parseObject(data === '-' ? await readText('-') : data, 'The data')
  await using carillon = await reachEdge(context, SOURCE)
  const { offset } = await carillon.publishTo(channel, given, options)
  process.stdout.write(`${pc.green('✓')} ${channel}${offset === undefined ? '' : ` at ${offset}`}\n`)
  return EXIT.ok
}

/** `carillon channel history`: JSON lines. */
export async function showHistory(
  args: { channel: string; since?: number; limit?: number },
  context: CommandContext,
): Promise<number> {
  const { channel, ...options } = args
  checkChannel(channel)
  await using carillon = await reachEdge(context, SOURCE)
  const { publications } = await carillon.channelHistory(channel, options)
  for (const publication of publications) process.stdout.write(`${JSON.stringify(publication)}\n`)
  return EXIT.ok
}

function lineOf({ namespace, authorise, allow, joins, schema }: ChannelRule): string {
  const words = [
    authorise ? 'services authorise' : 'tokens decide',
    `everybody may ${allow.length === 0 ? 'nothing besides' : allow.join(', ')}`,
    joins ? 'joins are told' : 'joins are not told',
    schema === null ? 'any object' : 'typed',
  ]
  return `${namespace.padEnd(16)} ${words.join(' · ')}`
}

/** @throws CommandError */
function checkChannel(name: string): void {
  if (parseChannelName(name) !== undefined) return
  throw new CommandError(`${name} names no channel.`, {
    remedy: 'It is room:<id> or latest:<id>; an id has 1 to 64 of a-z, 0-9 and -.',
    exitCode: EXIT.usage,
  })
}

function permissionsIn(text: string): ChannelPermission[] {
  const names = text.split(',').flatMap((name) => (name.trim() === '' ? [] : [name.trim()]))
  const known = CHANNEL_PERMISSIONS.filter((permission) => names.includes(permission))
  if (known.length === new Set(names).size) return known
  throw new CommandError(`--allow names something else than ${CHANNEL_PERMISSIONS.join(', ')}.`, {
    remedy: 'Give some of these with commas between, like presence,history.',
    exitCode: EXIT.usage,
  })
}

async function readText(file: string): Promise<string> {
  if (file === '-') return (await readInput()).toString('utf8')
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new CommandError(`${file} can't be read.`, {
      remedy: 'Name a file, or - for standard input.',
      exitCode: EXIT.usage,
      cause,
    })
  }
}

/** @throws CommandError */
function parseObject(text: string, what: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new CommandError(`${what} is no JSON.`, {
      remedy: 'Give one JSON object, like {"text":"hello"}.',
      exitCode: EXIT.usage,
      cause,
    })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>
  throw new CommandError(`${what} is JSON, but no object.`, {
    remedy: 'Give one JSON object, like {"text":"hello"}.',
    exitCode: EXIT.usage,
  })
}
