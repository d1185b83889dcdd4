import { type CarillonClient, CarillonClientError, type WorkflowChange } from '@carillon/sdk'
import pc from 'picocolors'
import type { CommandContext } from '../../cli.js'
import { reachEdge } from '../../mesh/reach.js'
import { CommandError, EXIT } from '../../terminal/failure.js'
import { storedWorkflows } from './stored.js'

interface Version {
  version: number
  status: string
  createdAt: string
  /** Oldest first; `to` is null while it is in force. */
  publications: { from: string; to: string | null }[]
}

/** `carillon workflow publish`: a draft, unless another version is named, is in force from now on. */
export async function publishVersion(
  args: { key: string; version: string },
  context: CommandContext,
): Promise<number> {
  const version = versionOf(args.version)
  await using carillon = await reachEdge(context, '/carillon/cli')
  const change = await carillon.publishWorkflow(args.key, version).catch(notThere(args.key, args.version))
  tell(change)
  return EXIT.ok
}

/** `carillon workflow rollback`: the version that was published before the one in force, or the one named. */
export async function rollback(
  args: { key: string; version?: string },
  context: CommandContext,
): Promise<number> {
  await using carillon = await reachEdge(context, '/carillon/cli')
  const versions = await versionsOf(carillon, args.key)
  const current = versions.find(({ status }) => status === 'published')?.version
  const version = args.version === undefined ? versionBefore(args.key, versions) : versionOf(args.version)
  const expect = current === undefined ? {} : { expect: current }
  tell(
    await carillon
      .publishWorkflow(args.key, version, expect)
      .catch(notThere(args.key, args.version ?? `${version}`)),
  )
  return EXIT.ok
}

/** `carillon workflow versions`: newest first, with the times in which each was in force. */
export async function showVersions(
  args: { key: string; json?: boolean },
  context: CommandContext,
): Promise<number> {
  await using carillon = await reachEdge(context, '/carillon/cli')
  const versions = await versionsOf(carillon, args.key)
  if (args.json === true) {
    process.stdout.write(`${JSON.stringify(versions, null, 2)}\n`)
    return EXIT.ok
  }
  for (const { version, status, createdAt, publications } of versions) {
    const mark = status === 'published' ? pc.green('●') : ' '
    process.stdout.write(
      `${mark} ${`${version}`.padStart(4)}  ${status.padEnd(9)}  made ${moment(createdAt)}\n`,
    )
    for (const { from, to } of publications) {
      const until = to === null ? 'in force' : `to ${moment(to)}`
      process.stdout.write(pc.dim(`         from ${moment(from)} ${until}\n`))
    }
  }
  return EXIT.ok
}

/** `carillon workflow list`: one line a workflow, those that are only drafts or shadows too. */
export async function list(args: { json?: boolean }, context: CommandContext): Promise<number> {
  await using carillon = await reachEdge(context, '/carillon/cli')
  const [published, drafts, shadows] = [
    await storedWorkflows(carillon, 'published'),
    await storedWorkflows(carillon, 'draft'),
    await storedWorkflows(carillon, 'shadow'),
  ]
  const keys = [...new Set([...published.keys(), ...drafts.keys(), ...shadows.keys()])].sort()
  const rows = keys.map((key) => ({
    key,
    name: (published.get(key) ?? drafts.get(key) ?? shadows.get(key))?.definition.name ?? '',
    published: published.get(key)?.version ?? null,
    draft: drafts.get(key)?.version ?? null,
    shadow: shadows.get(key)?.version ?? null,
  }))
  if (args.json === true) {
    process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`)
    return EXIT.ok
  }
  const width = Math.max(3, ...keys.map((key) => key.length))
  for (const { key, name, published: version, draft, shadow } of rows) {
    const beside = [draft === null ? '' : `draft ${draft}`, shadow === null ? '' : `shadow ${shadow}`]
    const notes = beside.filter((note) => note !== '').join(', ')
    const line = `${key.padEnd(width)}  ${`${version ?? '-'}`.padStart(4)}  ${name}`
    process.stdout.write(`${line.trimEnd()}${notes === '' ? '' : `  ${pc.yellow(notes)}`}\n`)
  }
  return EXIT.ok
}

async function versionsOf(carillon: CarillonClient, key: string): Promise<Version[]> {
  const path = `/v1/workflows/${encodeURIComponent(key)}/versions`
  return (await carillon.call<{ versions: Version[] }>('GET', path).catch(notThere(key))).versions
}

/**
 * The newest one below the version in force that was once in force itself, so that rolling back again goes further
 * back; of a workflow that was taken off, the one that was in force last. @throws CommandError when there is none
 */
function versionBefore(key: string, versions: readonly Version[]): number {
  const current = versions.find(({ status }) => status === 'published')?.version
  const once = versions.filter(({ publications }) => publications.length > 0)
  const found =
    current === undefined
      ? once.toSorted((a, b) => lastUsed(b).localeCompare(lastUsed(a)))[0]
      : once.find(({ version }) => version < current)
  if (found !== undefined) return found.version
  throw new CommandError(`No version of "${key}" was published before.`, {
    remedy: `See which there are: carillon workflow versions ${key}`,
  })
}

const lastUsed = ({ publications }: Version): string => publications.at(-1)?.to ?? ''

function versionOf(text: string): number | 'draft' | 'shadow' {
  if (text === 'draft' || text === 'shadow') return text
  if (/^[1-9][0-9]{0,8}$/.test(text)) return Number(text)
  throw new CommandError(`"${text}" is not a version.`, {
    remedy: 'Versions are numbers; draft and shadow stand for theirs.',
    exitCode: EXIT.usage,
  })
}

function notThere(key: string, version?: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof CarillonClientError) || error.status !== 404) throw error
    const what = version === undefined ? `workflow "${key}"` : `version "${version}" of "${key}"`
    const remedy = version === undefined ? 'list' : `versions ${key}`
    throw new CommandError(`There is no ${what}.`, {
      remedy: `See what there is: carillon workflow ${remedy}`,
      cause: error,
    })
  }
}

function tell({ key, version, changed, previous }: WorkflowChange): void {
  const line = changed
    ? `  ${key}  ${previous ?? 'none'} ${pc.dim('→')} ${version}\n`
    : `  ${key}  version ${version} is published already\n`
  process.stdout.write(line)
}

/** To the second, UTC. */
function moment(iso: string): string {
  return `${iso.slice(0, 19).replace('T', ' ')} UTC`
}
