import { resolve } from 'node:path'
import { durationMs } from '@carillon/contracts'
import { findCandidates } from '../../backtest/candidates.js'
import type { MeshRules } from '../../backtest/mesh-directory.js'
import { backtestText, LABEL } from '../../backtest/report.js'
import { runBacktest } from '../../backtest/run-backtest.js'
import type { CommandContext } from '../../cli.js'
import { reachEdge } from '../../mesh/reach.js'
import { CommandError, EXIT } from '../../terminal/failure.js'
import { createProgress } from '../../terminal/progress.js'

/** `carillon workflow backtest`: recorded events through a draft and the published version, with nothing sent. */
export async function backtestWorkflow(
  args: { draft: string; since: string; until?: string; limit: number; json?: boolean },
  context: CommandContext,
): Promise<number> {
  const now = Date.now()
  const since = momentOf(args.since, now)
  const until = args.until === undefined ? now : momentOf(args.until, now)
  if (!Number.isInteger(args.limit) || args.limit < 1)
    throw usage('The limit is no number.', 'Write --limit 10000.')
  if (since >= until) throw usage('The period has no length.', 'Give a --since before --until.')
  await using carillon = await reachEdge(context, '/carillon/cli')
  const rules = await carillon.call<MeshRules>('GET', '/v1/rules')
  const wanted = { file: resolve(context.base, args.draft), name: args.draft }
  const candidates = await findCandidates(carillon, rules, wanted)
  const began = performance.now()
  const seconds = () => (performance.now() - began) / 1000
  const result = await createProgress(process.stderr).step('replaying', (detail) =>
    runBacktest(carillon, {
      candidates,
      rules,
      since,
      until,
      limit: args.limit,
      onProgress: (events, at) => {
        const percent = Math.floor((100 * (at - since)) / (until - since))
        detail(`${percent} %, ${events} events, ${Math.round(events / seconds())}/s`)
      },
    }),
  )
  const { draft, draftName, published } = candidates
  const about = { workflow: draft.key, draft: draftName, published: published?.version ?? null, note: LABEL }
  process.stdout.write(
    args.json === true
      ? `${JSON.stringify({ ...about, seconds: seconds(), ...result }, null, 2)}\n`
      : `${backtestText(candidates, result, seconds())}\n`,
  )
  return EXIT.ok
}

/** A duration before now, or a moment. */
function momentOf(text: string, now: number): number {
  const ago = durationMs(text)
  const at = ago === undefined ? Date.parse(text) : now - ago
  if (Number.isNaN(at))
    throw usage(`"${text}" is neither a duration nor a moment.`, 'Write 7d, 12h or 2026-11-20T08:00:00Z.')
  return at
}

function usage(message: string, remedy: string): CommandError {
  return new CommandError(message, { remedy, exitCode: EXIT.usage })
}
