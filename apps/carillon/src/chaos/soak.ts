import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { countersOf, type Simulators } from '@carillon/simulators'
import { EXIT } from '../terminal/failure.js'
import { createProgress } from '../terminal/progress.js'
import { tellInvariants } from './invariants.js'
import { seededRandom } from './random.js'
import { attemptsOf, checkSoak, repeatsOf } from './soak-checks.js'
import { arrangeDeliveries } from './soak-deliveries.js'
import { quiet, type Stage, startStage } from './stage.js'

export interface SoakArguments {
  deliveries: number
  seed?: number
  /** How long FCM is down. */
  outageSeconds?: number
  /** How often the worker is killed. */
  kills?: number
  json?: string
}

const OUTAGE_SECONDS = 120
const KILLS = 10
/** Kills come while this part of all deliveries goes out. */
const KILLED_WITHIN = 0.8
const ROLES = ['dispatcher', 'delivery', 'history']
/** Circuits, holds and back-offs take this long to find out that all is well. */
const STUCK_AFTER_MS = 600_000

/**
 * `carillon chaos --deliveries n`: brings so many deliveries to providers that fail in every way they know, kills the
 * worker ten times meanwhile and takes FCM away for two minutes, then asks of each delivery what became of it.
 */
export async function soak(args: SoakArguments): Promise<number> {
  const seed = args.seed ?? Math.floor(Math.random() * 2 ** 31)
  const out = process.stdout
  out.write(`  seed ${seed}, ${args.deliveries.toLocaleString('en')} deliveries\n`)
  const folder = await mkdtemp(join(tmpdir(), 'carillon-soak-'))
  await chmod(folder, 0o711)
  try {
    const progress = createProgress(out)
    await using stage = await startStage(folder, progress, {
      roles: ROLES,
      arrange: (arranging) => {
        addFaults(arranging.simulators, `${seed}`)
        return arrangeDeliveries(arranging, args.deliveries)
      },
    })
    const began = performance.now()
    const outage = (args.outageSeconds ?? OUTAGE_SECONDS) * 1_000
    await progress.step('worker killed, provider down', () =>
      strike(stage, { seed, outage, kills: args.kills ?? KILLS }),
    )
    const calm = await progress.step('until all is quiet', () => quiet(stage, STUCK_AFTER_MS))
    const seconds = (performance.now() - began) / 1_000
    const counters = countersOf(stage.simulators)
    const { database, tenant, rung, arranged: queued } = stage
    const invariants = await checkSoak({ database, tenant, rung, queued, counters })
    const left = { name: '8 backlog zero after healing', checked: 1, broken: calm.ok ? 0 : 1 }
    invariants.push({ ...left, examples: calm.left })
    tellInvariants(invariants, out)
    const repeats = repeatsOf(rung)
    const attempts = await attemptsOf(database, tenant)
    out.write(`  ${repeats} sent again that had rung before, and collapsed; ${Math.round(seconds)} s\n`)
    for (const { verdict, count } of attempts) out.write(`  ${String(count).padStart(8)} ${verdict}\n`)
    if (args.json !== undefined) {
      const report = { seed, deliveries: args.deliveries, seconds, repeats, attempts, invariants }
      await writeFile(args.json, `${JSON.stringify(report, null, 2)}\n`)
    }
    return invariants.every((invariant) => invariant.broken === 0) ? EXIT.ok : EXIT.failed
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** One request in ten answered 503, two in a hundred 429, some cut off, some left hanging. */
function addFaults({ fcm, smtp }: Simulators, seed: string): void {
  const of = 'requests' as const
  const unavailable = { error: { code: 503, status: 'UNAVAILABLE', message: 'Try again later.' } }
  const exceeded = { error: { code: 429, status: 'RESOURCE_EXHAUSTED', message: 'Quota exceeded.' } }
  fcm.faults.rules.push(
    { match: { percent: 10, seed: `${seed} 503`, of }, reply: { status: 503, body: unavailable } },
    {
      match: { percent: 2, seed: `${seed} 429`, of },
      reply: { status: 429, headers: { 'retry-after': '2' }, body: exceeded },
    },
    { match: { percent: 0.2, seed: `${seed} reset`, of }, reply: 'reset' },
    { match: { percent: 0.02, seed: `${seed} hang`, of }, reply: 'hang' },
  )
  smtp.faults.rules.push(
    { match: { percent: 5, seed: `${seed} grey`, of }, reply: { status: 451, body: '4.7.1 greylisted' } },
    { match: { percent: 1, seed: `${seed} reset`, of }, reply: 'reset' },
  )
}

/** Kills while part after part goes out, and in their midst FCM is gone. */
async function strike(
  stage: Stage<{ deliveries: number }>,
  { seed, outage, kills }: { seed: number; outage: number; kills: number },
): Promise<void> {
  const random = seededRandom(seed)
  const worker = stage.roles.find(({ role }) => role === 'delivery')
  for (let kill = 0; kill < kills; kill++) {
    await untilRung(stage, (stage.arranged.deliveries * KILLED_WITHIN * kill) / kills)
    await sleep(500 * random())
    await worker?.kill()
    await worker?.start()
    if (kill !== Math.floor(kills / 2)) continue
    const { faults } = stage.simulators.fcm
    faults.break()
    await sleep(outage)
    // heal() would forget the rules as well
    const rules = [...faults.rules]
    faults.heal()
    faults.rules.push(...rules)
  }
}

/** Waits until so many have rung, or no more do: what is left may be waiting for its next attempt. */
async function untilRung({ rung }: Stage, count: number): Promise<void> {
  const giveUpAt = performance.now() + 60_000
  while (rung.size < count && performance.now() < giveUpAt) await sleep(20)
}
