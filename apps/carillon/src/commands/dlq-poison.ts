import { STREAMS } from '@carillon/contracts'
import { type Connection, findLetter, type Letter, readLetters, redriveLetter } from '@carillon/jetstream'
import { messageOf } from '@carillon/service'
import pc from 'picocolors'
import type { CommandContext } from '../cli.js'
import { connectNats } from '../mesh/reach.js'
import { confirmed } from '../terminal/confirm.js'
import { CommandError, EXIT } from '../terminal/failure.js'
import { createProgress } from '../terminal/progress.js'
import type { LetterOptions, RedriveOptions } from './dlq-register.js'

/** Messages that could not be processed, in DEAD_LETTERS: for who operates the mesh, over NATS. */

const PAGE = 256
const SHOWN = 50

const connect = (context: CommandContext) => connectNats(context, 'carillon-dlq')

/** `carillon dlq list --poison`: in the order in which they died. */
export async function listPoison(args: LetterOptions, context: CommandContext): Promise<number> {
  await using connection = await connect(context)
  const { limit: most = SHOWN } = args
  const letters: Letter[] = []
  let more = false
  for await (const letter of matching(connection, args)) {
    more = letters.length === most
    if (more) break
    letters.push(letter)
  }
  if (args.json === true) process.stdout.write(`${JSON.stringify(letters.map(dataOf), null, 2)}\n`)
  else if (letters.length === 0) process.stdout.write('no dead letters\n')
  else process.stdout.write(`${letters.map(lineOf).join('\n')}\n`)
  if (more) process.stderr.write(pc.dim(`there are more: --limit ${most * 10}, or narrow them down\n`))
  return EXIT.ok
}

/** `carillon dlq show --poison`: its headers and its body. */
export async function showPoison(
  args: { id: string; json?: boolean },
  context: CommandContext,
): Promise<number> {
  await using connection = await connect(context)
  const letter = await letterBy(connection, args.id)
  if (args.json === true) {
    process.stdout.write(`${JSON.stringify({ ...dataOf(letter), body: bodyOf(letter) }, null, 2)}\n`)
    return EXIT.ok
  }
  const body = bodyOf(letter)
  const lines = [
    lineOf(letter),
    `  delivered ${letter.deliveries}×, sequence ${letter.originalSequence} of ${letter.stream}, under ${letter.durable}`,
    ...(twinOf(letter) === undefined
      ? [`  ${pc.green('→')} carillon dlq redrive --poison ${letter.sequence}`]
      : [`  ${pc.yellow(twinOf(letter) as string)}`]),
    '',
    ...Object.entries(letter.headers).map(([name, value]) => `${pc.cyan(name)}: ${value}`),
    '',
    typeof body === 'string' ? body : JSON.stringify(body, null, 2),
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
  return EXIT.ok
}

/** `carillon dlq redrive --poison`: publishes each where it was, then takes its letter away. */
export async function redrivePoison(
  args: RedriveOptions & { ids: readonly string[] },
  context: CommandContext,
): Promise<number> {
  assertMeant(args)
  await using connection = await connect(context)
  const progress = createProgress(process.stderr)
  const letters: Letter[] = []
  await progress.step('reading', async (detail) => {
    if (args.ids.length > 0) for (const id of new Set(args.ids)) letters.push(await letterBy(connection, id))
    else
      for await (const letter of matching(connection, args)) {
        letters.push(letter)
        detail(`${letters.length} so far`)
      }
  })
  const wanted = letters.filter((letter) => twinOf(letter) === undefined)
  const twins = letters.length - wanted.length
  const unless = twins === 0 ? '' : `; not: ${twins} of jobs, whose rows bring them again`
  if (args.dryRun === true)
    return report({ letters, sent: wanted.length, failed: [], twins }, 'would go again', args)
  if (wanted.length > 1 && args.yes !== true) {
    const question = `${wanted.length} messages are published again${unless}.`
    if (!(await confirmed(question, `${question} Say --yes to do it, or --dry-run.`))) return EXIT.interrupted
  }
  const failed: { sequence: number; problem: string }[] = []
  await progress.step('publishing', async (detail) => {
    for (const [index, letter] of wanted.entries()) {
      await redriveLetter(connection, letter, new Date()).catch((error: unknown) => {
        failed.push({ sequence: letter.sequence, problem: messageOf(error) })
      })
      detail(`${index + 1} of ${wanted.length}`)
    }
  })
  return report({ letters, sent: wanted.length - failed.length, failed, twins }, 'published again', args)
}

function report(
  done: { letters: Letter[]; sent: number; failed: { sequence: number; problem: string }[]; twins: number },
  what: string,
  args: { json?: boolean },
): number {
  const { letters, sent, failed, twins } = done
  if (args.json === true) {
    process.stdout.write(
      `${JSON.stringify({ matched: letters.length, redriven: sent, jobs: twins, failed }, null, 2)}\n`,
    )
  } else {
    process.stdout.write(`${sent} of ${letters.length} ${what}\n`)
    if (twins > 0) process.stdout.write(`  ${twins} are jobs: carillon dlq redrive sends their deliveries\n`)
    for (const { sequence, problem } of failed)
      process.stdout.write(`  ${pc.red(`✗ ${sequence}: ${problem}`)}\n`)
  }
  return failed.length > 0 ? EXIT.failed : EXIT.ok
}

/** @throws CommandError when the options mean nothing, two things, or something that a letter of a stream has not */
function assertMeant(args: RedriveOptions & { ids: readonly string[] }): void {
  const { ids, stream, tenant, reason, from, to, all } = args
  const narrowed = [stream, tenant, reason, from, to, all].some((one) => one !== undefined)
  if (ids.length > 0 !== narrowed) return
  throw new CommandError(narrowed ? 'Give numbers or a filter, not both.' : 'Nothing says which ones.', {
    remedy: 'Give numbers, a filter like --stream EVENTS --from "2h ago", or --all.',
    exitCode: EXIT.usage,
  })
}

/** Until the last one that is there when it begins: what is published again and dies again is not met twice. */
async function* matching(connection: Connection, args: LetterOptions): AsyncGenerator<Letter> {
  const { stream, tenant, reason, from, to, channel, provider, workflow, user, replayed } = args
  if ([channel, provider, workflow, user].some((one) => one !== undefined)) {
    throw new CommandError('A letter of a stream has a stream, a tenant, a reason and a time.', {
      remedy: 'Use --stream, --tenant, --reason, --from and --to with --poison.',
      exitCode: EXIT.usage,
    })
  }
  const began = Date.now()
  for (let fromSequence = 1; ; ) {
    const page = await readLetters(connection, { stream, tenant, fromSequence, limit: PAGE })
    for (const letter of page) {
      const at = letter.deadAtMs
      if (
        at > began ||
        (from !== undefined && at < from.getTime()) ||
        (to !== undefined && at >= to.getTime())
      )
        continue
      if (reason !== undefined && !letter.reason.toLowerCase().includes(reason.toLowerCase())) continue
      if (replayed !== undefined && letter.replayed !== replayed) continue
      yield letter
    }
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE) return
    fromSequence = last.sequence + 1
  }
}

async function letterBy(connection: Connection, id: string): Promise<Letter> {
  const letter = /^[1-9][0-9]{0,14}$/.test(id) ? await findLetter(connection, Number(id)) : undefined
  if (letter !== undefined) return letter
  throw new CommandError(`There is no letter ${id}.`, {
    remedy: 'carillon dlq list --poison shows their numbers.',
  })
}

/** Jobs are hints: the truth is a row, and what brings it again is that row. Undefined for everything else. */
function twinOf({ stream }: Letter): string | undefined {
  if (stream === STREAMS.jobsFanout)
    return 'A part of a large audience: its row brings it again, nothing is to be done.'
  if (!stream.startsWith('JOBS_')) return undefined
  return 'The job of a delivery that failed: carillon dlq redrive sends the delivery; a job is never published by hand.'
}

function bodyOf({ body }: Letter): unknown {
  const text = Buffer.from(body).toString('utf8')
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function dataOf(letter: Letter): Record<string, unknown> {
  const { body, deadAtMs, ...rest } = letter
  const note = twinOf(letter)
  const deadAt = new Date(deadAtMs).toISOString()
  return { ...rest, deadAt, bytes: body.length, ...(note === undefined ? {} : { note }) }
}

function lineOf(letter: Letter): string {
  const { sequence, subject, reason, deadAtMs, replayed } = letter
  const at = pc.dim(new Date(deadAtMs).toISOString().slice(0, 19))
  const marks = `${replayed ? pc.cyan(' replayed') : ''}${twinOf(letter) === undefined ? '' : pc.yellow(' job')}`
  return `${String(sequence).padStart(6)} ${at} ${pc.cyan(subject)}${marks}\n       ${pc.red(reason)}`
}
