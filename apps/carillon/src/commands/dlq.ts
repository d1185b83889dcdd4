import { REASONS } from '@carillon/contracts'
import { CarillonClientError } from '@carillon/sdk'
import pc from 'picocolors'
import type { CommandContext } from '../cli.js'
import { reachEdge } from '../mesh/reach.js'
import { CommandError, EXIT } from '../terminal/failure.js'
import { DEAD_REASONS, type LetterOptions } from './dlq-register.js'

interface Listed {
  id: string
  channel: string
  provider: string | null
  reason: string | null
  detail: string | null
  workflow: string
  user: string
  attempts: number
  unknowns: number
  failedAt: string
  replays: number
}

interface Shown extends Omit<Listed, 'attempts'> {
  status: string
  address: string
  content: unknown
  said: string | null
  remedy: string | null
  redrive: { possible: boolean; detail?: string }
  timeline: { at: string; what: string; why: string | null; attempt?: number; provider?: string }[]
}

const PAGE = 200
const SHOWN = 50

/** `carillon dlq list`: a line a dead letter, what failed last first. */
export async function listLetters(args: LetterOptions, context: CommandContext): Promise<number> {
  const { limit: most = SHOWN, json } = args
  await using carillon = await reachEdge(context, '/carillon/cli')
  const letters: Listed[] = []
  let next: string | null = null
  do {
    const query = new URLSearchParams({
      ...filterOf(args),
      limit: String(Math.min(PAGE, most - letters.length)),
      ...(next === null ? {} : { after: next }),
    })
    const page: { deadLetters: Listed[]; next: string | null } = await carillon.call(
      'GET',
      `/v1/dead-letters?${query}`,
    )
    letters.push(...page.deadLetters)
    next = page.next
  } while (next !== null && letters.length < most)
  if (json === true) process.stdout.write(`${JSON.stringify(letters, null, 2)}\n`)
  else if (letters.length === 0) process.stdout.write('no dead letters\n')
  else process.stdout.write(`${letters.map(lineOf).join('\n')}\n`)
  if (next !== null)
    process.stderr.write(pc.dim(`there are more: --limit ${most * 10}, or narrow them down\n`))
  return EXIT.ok
}

/** The filter as the API takes it. @throws CommandError when the reason is none */
export function filterOf(args: LetterOptions): Record<string, string> {
  const { channel, provider, reason, workflow, user, from, to, replayed } = args
  if (reason !== undefined && !REASONS.some((known) => known === reason)) {
    throw new CommandError(`There is no reason "${reason}".`, {
      remedy: `Deliveries fail with ${DEAD_REASONS.join(', ')}; --poison looks for any words.`,
      exitCode: EXIT.usage,
    })
  }
  const said = {
    channel,
    provider,
    reason,
    workflow,
    user,
    from: from?.toISOString(),
    to: to?.toISOString(),
    replayed: replayed === undefined ? undefined : String(replayed),
  }
  return Object.fromEntries(
    Object.entries(said).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
}

function lineOf(letter: Listed): string {
  const { id, channel, provider, reason, workflow, user, failedAt, attempts, unknowns, replays } = letter
  const marks = [
    attempts === 1 ? '1 attempt' : `${attempts} attempts`,
    ...(unknowns === 0 ? [] : [pc.yellow('may have been sent')]),
    ...(replays === 0 ? [] : [pc.cyan(`replayed ${replays}×`)]),
  ]
  const first = [
    pc.dim(failedAt.slice(0, 19)),
    channel.padEnd(7),
    (provider ?? '-').padEnd(7),
    pc.red((reason ?? '-').padEnd(20)),
    workflow,
    user,
    marks.join(', '),
  ]
  const detail = letter.detail === null ? '' : pc.dim(`  ${letter.detail.slice(0, 200)}`)
  return `${first.join(' ')}\n  ${id}${detail}`
}

/** `carillon dlq show`: everything that is known of one. */
export async function showLetter(
  args: { id: string; json?: boolean },
  context: CommandContext,
): Promise<number> {
  await using carillon = await reachEdge(context, '/carillon/cli')
  const letter = await carillon
    .call<Shown>('GET', `/v1/dead-letters/${encodeURIComponent(args.id)}`)
    .catch((error: unknown) => {
      if (!(error instanceof CarillonClientError) || (error.status !== 404 && error.status !== 400))
        throw error
      throw new CommandError(`There is no dead letter "${args.id}".`, {
        remedy: 'carillon dlq list shows their ids; one of a stream is shown with --poison.',
      })
    })
  process.stdout.write(args.json === true ? `${JSON.stringify(letter, null, 2)}\n` : `${pageOf(letter)}\n`)
  return EXIT.ok
}

function pageOf(letter: Shown): string {
  const { channel, address, user, workflow, status, reason, detail, said, remedy, redrive } = letter
  const lines = [
    `${pc.bold(`${channel} to ${address}`)} for ${user}, workflow ${workflow}`,
    `${status}${reason === null ? '' : ` ${pc.red(reason)}`}${detail === null ? '' : `: ${detail}`}`,
    ...(said === null ? [] : [said]),
    ...(remedy === null ? [] : [`${pc.green('→')} ${remedy}`]),
    ...(redrive.possible
      ? [`${pc.green('→')} carillon dlq redrive ${letter.id}`]
      : [pc.yellow(redrive.detail ?? '')]),
    '',
    ...letter.timeline.map(({ at, what, why, attempt, provider }) => {
      const of =
        attempt === undefined ? '' : ` ${attempt}${provider === undefined ? '' : ` through ${provider}`}`
      return `${pc.dim(at)}  ${what}${of}${why === null ? '' : pc.dim(`  ${why}`)}`
    }),
    '',
    JSON.stringify(letter.content, null, 2),
  ]
  return lines.join('\n')
}
