import { randomUUID } from 'node:crypto'
import type { CarillonClient } from '@carillon/sdk'
import pc from 'picocolors'
import type { CommandContext } from '../cli.js'
import { reachEdge } from '../mesh/reach.js'
import { confirmed } from '../terminal/confirm.js'
import { CommandError, EXIT } from '../terminal/failure.js'
import { createProgress } from '../terminal/progress.js'
import { filterOf } from './dlq.js'
import type { RedriveOptions } from './dlq-register.js'

interface Part {
  matched: number
  redriven: number
  refused: Record<string, number>
  refusals: { id: string; reason: string; detail: string }[]
  to: string | null
  next: string | null
}

type Total = Pick<Part, 'matched' | 'redriven' | 'refused' | 'refusals'>

interface Order {
  ids: readonly string[]
  filter: Record<string, unknown>
  evenUnknown: boolean
  dryRun: boolean
}

/** Most dead letters of one call: what is done by then is done, and told. */
const PART = 1000
const REFUSALS_SHOWN = 10

/** `carillon dlq redrive`: counts first, asks for more than one, then sends in parts. */
export async function redriveLetters(
  args: RedriveOptions & { ids: readonly string[] },
  context: CommandContext,
): Promise<number> {
  const { ids, evenUnknown = false, dryRun = false } = args
  const order = { ids: [...new Set(ids)], filter: wantedOf(args), evenUnknown }
  await using carillon = await reachEdge(context, '/carillon/cli')
  const progress = createProgress(process.stderr)
  if (dryRun || (ids.length !== 1 && args.yes !== true)) {
    const would = await progress.step('counting', (detail) =>
      run(carillon, { ...order, dryRun: true }, detail),
    )
    if (dryRun) return report(would, { ...args, done: 'would go again' })
    if (would.redriven > 1) {
      const more = `${would.redriven} of ${would.matched} go again${becauseOf(would.refused)}.`
      if (!(await confirmed(more, `${more} Say --yes to do it, or --dry-run to see more.`)))
        return EXIT.interrupted
    }
  }
  const total = await progress.step('sending again', (detail) =>
    run(carillon, { ...order, dryRun: false }, detail),
  )
  return report(total, { ...args, done: 'on their way again' })
}

/** What the options mean. @throws CommandError when they mean nothing, or two things */
function wantedOf(args: RedriveOptions & { ids: readonly string[] }): Record<string, unknown> {
  const { replayed, ...filter } = filterOf(args)
  const narrowed = Object.keys(filter).length > 0 || replayed !== undefined
  if (args.ids.length > 0 && (narrowed || args.all === true)) {
    throw new CommandError('Give ids or a filter, not both.', { exitCode: EXIT.usage })
  }
  if (args.ids.length === 0 && !narrowed && args.all !== true) {
    throw new CommandError('Nothing says which ones.', {
      remedy: 'Give ids, a filter like --provider fcm --from 14:02 --to 14:40, or --all.',
      exitCode: EXIT.usage,
    })
  }
  return { ...filter, ...(args.replayed === undefined ? {} : { replayed: args.replayed }) }
}

async function run(carillon: CarillonClient, order: Order, detail: (text: string) => void): Promise<Total> {
  const total: Total = { matched: 0, redriven: 0, refused: {}, refusals: [] }
  for await (const part of parts(carillon, order)) {
    total.matched += part.matched
    total.redriven += part.redriven
    for (const [why, many] of Object.entries(part.refused))
      total.refused[why] = (total.refused[why] ?? 0) + many
    total.refusals.push(...part.refusals)
    detail(`${total.matched} so far`)
  }
  return total
}

async function* parts(carillon: CarillonClient, order: Order): AsyncGenerator<Part> {
  const { ids, filter, evenUnknown, dryRun } = order
  for (let first = 0; first < ids.length; first += PART) {
    yield await ask(carillon, { ids: ids.slice(first, first + PART), evenUnknown, dryRun })
  }
  if (ids.length > 0) return
  // what fails meanwhile is not meant: the first answer says until when
  let { to } = filter
  let after: string | null = null
  do {
    const place: { after?: string } = after === null ? {} : { after }
    const wanted = { ...filter, ...(to === undefined ? {} : { to }) }
    const part = await ask(carillon, { filter: wanted, evenUnknown, dryRun, limit: PART, ...place })
    to = part.to ?? to
    after = part.next
    yield part
  } while (after !== null)
}

/** With a key: an answer that got lost is asked for again, and counts what the first one did. */
function ask(carillon: CarillonClient, body: object): Promise<Part> {
  return carillon.call<Part>('POST', '/v1/dead-letters/redrive', body, { 'idempotency-key': randomUUID() })
}

function report(total: Total, args: { ids: readonly string[]; json?: boolean; done: string }): number {
  if (args.json === true) process.stdout.write(`${JSON.stringify(total, null, 2)}\n`)
  else {
    process.stdout.write(`${total.redriven} of ${total.matched} ${args.done}${becauseOf(total.refused)}\n`)
    for (const { id, reason, detail } of total.refusals.slice(0, REFUSALS_SHOWN))
      process.stdout.write(`  ${pc.yellow(reason)} ${id}  ${pc.dim(detail)}\n`)
    if (total.refusals.length > REFUSALS_SHOWN) process.stdout.write(pc.dim('  … --json shows more\n'))
  }
  return args.ids.length > 0 && total.redriven === 0 ? EXIT.failed : EXIT.ok
}

function becauseOf(refused: Readonly<Record<string, number>>): string {
  const reasons = Object.entries(refused).map(([why, many]) => `${many} ${why}`)
  return reasons.length === 0 ? '' : `; not: ${reasons.join(', ')}`
}
