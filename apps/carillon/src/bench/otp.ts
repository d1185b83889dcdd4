import { setTimeout as sleep } from 'node:timers/promises'
import { createPublisher } from '@carillon/jetstream'
import type { CommandContext } from '../cli.js'
import { createProgress } from '../terminal/progress.js'
import type { BenchArguments } from './bench.js'
import { type BroadcastBench, broadcast } from './broadcast.js'
import { cpuSeconds } from './cpu.js'
import { withEngines } from './engines.js'
import { type Codes, startCodes } from './otp-probe.js'
import { type OtpPhase, rowsOf } from './otp-rows.js'
import { arrangeCodes, startRoles } from './otp-stage.js'
import { type Child, startChild } from './push-child.js'
import type { BenchRow } from './rows.js'
import { startWorker } from './worker.js'

const USERS = 100_000
/** Two per cent of fewer people are told at once, not in chunks: there is no broadcast to warm up with. */
const USERS_TO_WARM_UP = 50_000
const ARRANGE_MS = 300_000
/** How long codes are measured while nothing else happens, and before that until everything is warm. */
const QUIET_SECONDS = 10
/** What did not ring by then is left alone. */
const RINGING_MS = 180_000

interface Bench extends BroadcastBench {
  simulators: Child
  /** Process that delivers. */
  delivery: number
}

/**
 * One-time codes in the high lane, from publishing the event until FCM has accepted the push, while a broadcast with
 * push goes to everybody in the bulk lane. Dispatcher, delivery, history, simulators and engines are a process each.
 */
export async function benchOtp(args: BenchArguments, _context: CommandContext): Promise<BenchRow[]> {
  const users = args.users ?? USERS
  const quietMs = (args.seconds ?? QUIET_SECONDS) * 1_000
  const progress = createProgress(process.stdout)
  await using simulators = startChild('push-simulators')
  return await withEngines(
    async (engines) => {
      const env = await progress.step(`${users.toLocaleString('en')} users`, () =>
        arrangeCodes(engines, simulators, users),
      )
      await using publisher = createPublisher(engines.connection)
      await using worker = await startWorker('rolling', engines)
      await using roles = await startRoles(env)
      const pids = { nats: engines.nats.pid ?? 0, postgres: engines.postgres.pid ?? 0 }
      const processes = { worker: worker.pid, delivery: roles.pids.delivery, engines: pids }
      const bench: Bench = { ...engines, publisher, simulators, ...processes }
      await progress.step('warm-up', () => warmUp(bench, users, quietMs))
      const quiet = await progress.step('codes alone', () => codesAlone(bench, 'quiet', quietMs))
      return rowsOf({ quiet, ...(await progress.step('codes under a broadcast', () => loaded(bench))) })
    },
    { statementTimeoutMs: ARRANGE_MS },
  )
}

async function codesAlone(bench: Bench, name: string, ms: number): Promise<Codes> {
  const codes = startCodes(bench, name)
  await sleep(ms)
  return codes.stop()
}

async function warmUp(bench: Bench, users: number, ms: number): Promise<void> {
  await codesAlone(bench, 'warm', ms)
  if (users < USERS_TO_WARM_UP) return
  const { recipients } = await broadcast(bench, { workflow: 'push', topic: 'warm', name: 'warm' })
  await untilRung(bench, recipients)
}

/** From the broadcast's event until every phone has rung: while people are told, and while the rest rings. */
async function loaded(bench: Bench): Promise<{ telling: OtpPhase; ringing: OtpPhase }> {
  const before = await rungSoFar(bench)
  const telling = await phase(bench, 'told', async () => {
    const { recipients, ms } = await broadcast(bench, { workflow: 'push', topic: 'all', name: 'all' })
    return { units: recipients, ms }
  })
  const ringing = await phase(bench, 'rung', async () => {
    const rungBy = await rungSoFar(bench)
    const began = performance.now()
    const units = (await untilRung(bench, before + telling.units)) - rungBy
    return { units, ms: performance.now() - began }
  })
  return { telling, ringing }
}

async function phase(
  bench: Bench,
  name: string,
  work: () => Promise<{ units: number; ms: number }>,
): Promise<OtpPhase> {
  const codes = startCodes(bench, name)
  const before = await cpuSeconds(bench.delivery)
  const { units, ms } = await work()
  const spent = (await cpuSeconds(bench.delivery)) - before
  return { units, ms, workerMicros: (spent * 1e6) / units, codes: await codes.stop() }
}

/** Pushes of broadcasts that FCM has accepted. */
function rungSoFar({ simulators }: Bench): Promise<number> {
  return simulators.ask<number>({ ask: 'others' })
}

async function untilRung(bench: Bench, count: number): Promise<number> {
  const giveUpAt = performance.now() + RINGING_MS
  for (;;) {
    const rung = await rungSoFar(bench)
    if (rung >= count || performance.now() > giveUpAt) return rung
    await sleep(100)
  }
}
