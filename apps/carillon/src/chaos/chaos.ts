import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { EXIT } from '../terminal/failure.js'
import { createProgress } from '../terminal/progress.js'
import { listFaults } from './faults.js'
import { checkInvariants, type Invariant, tellInvariants } from './invariants.js'
import { startLoad } from './load.js'
import { arrangePeople } from './people.js'
import { pick, seededRandom } from './random.js'
import { quiet, startStage } from './stage.js'

export interface ChaosArguments {
  minutes?: number
  seed?: number
  json?: string
}

interface Struck {
  kind: string
  count: number
  recoveryMs: number
}

const MINUTES = 2
const ROLES = ['dispatcher', 'delivery', 'history', 'audit']
const PER_SECOND = 100
/** Between two faults. */
const PAUSE_MS = 2_000

/** `carillon chaos`: kills every process at random under a steady load, then checks what must hold. */
export async function chaos(args: ChaosArguments): Promise<number> {
  const seed = args.seed ?? Math.floor(Math.random() * 2 ** 31)
  const minutes = args.minutes ?? MINUTES
  const random = seededRandom(seed)
  const out = process.stdout
  out.write(`  seed ${seed}, ${minutes} min\n`)
  const folder = await mkdtemp(join(tmpdir(), 'carillon-chaos-'))
  await chmod(folder, 0o711)
  try {
    await using stage = await startStage(folder, createProgress(out), {
      roles: ROLES,
      arrange: arrangePeople,
    })
    const faults = listFaults(stage)
    const load = startLoad(stage.publisher, {
      tenant: stage.tenant,
      perSecond: PER_SECOND,
      users: stage.arranged,
    })
    const struck = new Map<string, Struck>()
    const until = performance.now() + minutes * 60_000
    // every kind once, then at random
    for (let n = 0; performance.now() < until || n < faults.length; n++) {
      const fault = faults[n] ?? pick(random, faults)
      const began = performance.now()
      await fault.strike()
      const recoveryMs = Math.round(performance.now() - began)
      const entry = struck.get(fault.kind) ?? { kind: fault.kind, count: 0, recoveryMs: 0 }
      struck.set(fault.kind, {
        ...entry,
        count: entry.count + 1,
        recoveryMs: Math.max(entry.recoveryMs, recoveryMs),
      })
      await sleep(PAUSE_MS * random())
    }
    await load.stop()
    const calm = await quiet(stage)
    const invariants = await checkInvariants({ ...stage, journal: load.journal })
    invariants.push({
      name: '8 backlog zero after healing',
      checked: 1,
      broken: calm.ok ? 0 : 1,
      examples: calm.left,
    })
    tell([...struck.values()], invariants, out)
    if (args.json !== undefined) {
      const report = { seed, minutes, faults: [...struck.values()], invariants }
      await writeFile(args.json, `${JSON.stringify(report, null, 2)}\n`)
    }
    return invariants.every((invariant) => invariant.broken === 0) ? EXIT.ok : EXIT.failed
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function tell(
  faults: readonly Struck[],
  invariants: readonly Invariant[],
  out: { write(text: string): unknown },
): void {
  for (const fault of faults)
    out.write(`  ${fault.kind.padEnd(24)} ${fault.count} ×, back after at most ${fault.recoveryMs} ms\n`)
  tellInvariants(invariants, out)
}
