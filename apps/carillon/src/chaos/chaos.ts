import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { EXIT } from '../terminal/failure.js'
import { createProgress } from '../terminal/progress.js'
import { type Fault, listFaults } from './faults.js'
import { checkInvariants, type Invariant, invariant, tellInvariants } from './invariants.js'
import { startLoad } from './load.js'
import { arrangePeople, type People } from './people.js'
import { pick, seededRandom } from './random.js'
import { type Audience, gatherAudience } from './readers/audience.js'
import { openFront } from './readers/front.js'
import { checkReaders } from './readers/reader-checks.js'
import { liveAfter, type Reading, readingOf, tellReading } from './readers/reading.js'
import { settleAudience } from './readers/settle.js'
import type { RoleProcess } from './role-process.js'
import { quiet, type Stage, startStage } from './stage.js'

export interface ChaosArguments {
  minutes?: number
  seed?: number
  json?: string
  /** Events that are published meanwhile; 100 unless told. */
  perSecond?: number
}

/** One fault that came and went; moments in milliseconds of this process' clock. */
interface Strike {
  kind: string
  struckAt: number
  healedAt: number
}

interface Struck {
  kind: string
  count: number
  recoveryMs: number
  /** From the heal until every reader heard what was said after it; null when one never did. */
  readersLiveMs: number | null
}

const MINUTES = 2
const ROLES = ['dispatcher', 'delivery', 'history', 'audit', 'gateway', 'realtime', 'realtime']
const PER_SECOND = 100
/** Each reads in every way. */
const READERS = 3
/** Between two faults. */
const PAUSE_MS = 2_000

/** `carillon chaos`: kills every process at random under a steady load, then checks what must hold. */
export async function chaos(args: ChaosArguments): Promise<number> {
  const seed = args.seed ?? Math.floor(Math.random() * 2 ** 31)
  const minutes = args.minutes ?? MINUTES
  const perSecond = args.perSecond ?? PER_SECOND
  const out = process.stdout
  out.write(`  seed ${seed}, ${minutes} min\n`)
  const folder = await mkdtemp(join(tmpdir(), 'carillon-chaos-'))
  await chmod(folder, 0o711)
  try {
    await using stage = await startStage(folder, createProgress(out), {
      roles: ROLES,
      arrange: arrangePeople,
    })
    const { faults, invariants, readers } = await play(stage, { seed, minutes, perSecond })
    for (const fault of faults) out.write(`  ${wordsOf(fault)}\n`)
    tellReading(readers, out)
    tellInvariants(invariants, out)
    if (args.json !== undefined) {
      await writeFile(
        args.json,
        `${JSON.stringify({ seed, minutes, faults, readers, invariants }, null, 2)}\n`,
      )
    }
    return invariants.every(({ broken }) => broken === 0) ? EXIT.ok : EXIT.failed
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function play(
  stage: Stage<People>,
  { seed, minutes, perSecond }: { seed: number; minutes: number; perSecond: number },
): Promise<{ faults: Struck[]; invariants: Invariant[]; readers: Reading }> {
  const addresses = (role: string) => () => urlsOf(stage.roles, role)
  await using front = await openFront(addresses('realtime'))
  await using edge = await openFront(addresses('gateway'))
  const { users, apiKey } = stage.arranged
  const audience = await gatherAudience({
    realtimeUrl: front.url,
    gatewayUrl: edge.url,
    apiKey,
    users: users.slice(0, READERS),
    guest: users[READERS] as string,
    // not of the one that draws the faults
    random: seededRandom(seed + 1),
  })
  try {
    const { tenant, publisher } = stage
    const load = startLoad(publisher, { tenant, perSecond, users })
    const strikes = await strikeAll(listFaults({ ...stage, front }), { seed, minutes })
    await load.stop()
    await audience.calm()
    const calm = await quiet(stage)
    await audience.speaker.stop()
    const settled = await settleAudience(audience, edge.url)
    const invariants = [
      ...(await checkInvariants({ ...stage, journal: load.journal })),
      ...checkReaders({
        readers: audience.readers,
        attempted: audience.speaker.attempted,
        natsKilledAt: strikes.flatMap(({ kind, struckAt }) => (kind === 'kill -9 nats' ? [struckAt] : [])),
      }),
      ...settled,
      invariant('8 backlog zero after healing', 1, calm.ok ? [] : calm.left),
    ]
    return { faults: sumUp(strikes, audience), invariants, readers: readingOf(audience) }
  } finally {
    await audience.stop()
  }
}

/** Every kind once, then at random until the time is up. */
async function strikeAll(
  faults: readonly Fault[],
  { seed, minutes }: { seed: number; minutes: number },
): Promise<Strike[]> {
  const random = seededRandom(seed)
  const strikes: Strike[] = []
  const until = performance.now() + minutes * 60_000
  for (let n = 0; performance.now() < until || n < faults.length; n++) {
    const fault = faults[n] ?? pick(random, faults)
    const struckAt = performance.now()
    await fault.strike()
    strikes.push({ kind: fault.kind, struckAt, healedAt: performance.now() })
    await sleep(PAUSE_MS * random())
  }
  return strikes
}

function sumUp(strikes: readonly Strike[], audience: Audience): Struck[] {
  return [...new Set(strikes.map(({ kind }) => kind))].map((kind) => {
    const ofKind = strikes.filter((strike) => strike.kind === kind)
    const liveMs = ofKind.map(({ healedAt }) => liveAfter(audience, healedAt))
    const slowest = Math.max(...liveMs)
    return {
      kind,
      count: ofKind.length,
      recoveryMs: Math.round(Math.max(...ofKind.map(({ struckAt, healedAt }) => healedAt - struckAt))),
      readersLiveMs: Number.isFinite(slowest) ? Math.round(slowest) : null,
    }
  })
}

function wordsOf({ kind, count, recoveryMs, readersLiveMs }: Struck): string {
  const live = readersLiveMs === null ? 'readers never' : `readers ${readersLiveMs} ms later`
  return `${kind.padEnd(24)} ${count} ×, back after at most ${recoveryMs} ms, ${live}`
}

function urlsOf(roles: readonly RoleProcess[], wanted: string): string[] {
  return roles.flatMap(({ role, url }) => (role === wanted && url !== undefined ? [url] : []))
}
