import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CommandContext } from '../cli.js'
import { startMesh } from '../mesh/up.js'
import { createProgress } from '../terminal/progress.js'
import type { BenchArguments } from './bench.js'
import { cpuSeconds } from './cpu.js'
import type { BenchRow } from './rows.js'

const SECONDS = 60
/** After the start, until caches are warm, the first pulls are out and what starting left behind is collected. */
const SETTLE_MS = 20_000
const GOAL_PERCENT = 3

/** CPU of the whole mesh while nothing happens: this process with every role, and its engines. */
export async function benchIdle(args: BenchArguments, context: CommandContext): Promise<BenchRow[]> {
  const folder = await mkdtemp(join(tmpdir(), 'carillon-idle-'))
  try {
    await using _mesh = await startMesh({
      base: context.base,
      env: { ...context.env, CARILLON_DIR: folder },
      progress: createProgress(process.stdout),
      workflows: {
        pushed: () => undefined,
        refused: (file, problem) => process.stderr.write(`${file}: ${problem}\n`),
      },
    })
    await sleep(SETTLE_MS)
    const seconds = args.seconds ?? SECONDS
    const before = await cpuSeconds(process.pid)
    const own = process.cpuUsage()
    await sleep(seconds * 1_000)
    const spent = (await cpuSeconds(process.pid)) - before
    const { user, system } = process.cpuUsage(own)
    const row = (name: string, value: number, goal: boolean): BenchRow => ({
      suite: 'idle',
      name,
      value,
      unit: '% of one core',
      cpuMicrosPerUnit: null,
      reference: null,
      referenceValue: null,
      ratio: null,
      goal: goal ? `≤ ${GOAL_PERCENT} %` : null,
      met: goal ? value <= GOAL_PERCENT : null,
    })
    return [
      row(`whole mesh over ${seconds} s`, (spent / seconds) * 100, true),
      row('of it this process, all roles', ((user + system) / 1e6 / seconds) * 100, false),
    ]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
