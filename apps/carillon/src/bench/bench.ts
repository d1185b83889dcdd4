import type { CommandContext } from '../cli.js'
import { CommandError, EXIT } from '../terminal/failure.js'
import { benchBroadcast } from './broadcast.js'
import { benchDispatch } from './dispatch.js'
import { benchIdle } from './idle.js'
import { benchOtp } from './otp.js'
import { benchPush } from './push.js'
import { benchRealtime } from './realtime.js'
import { type BenchRow, printRows, writeRows } from './rows.js'
import { benchWaking } from './waking.js'

export interface BenchArguments {
  suites: readonly string[]
  json?: string
  seconds?: number
  /** People of the broadcast and otp suites. */
  users?: number
  runs?: number
  /** Messages of one round of the push suite. */
  messages?: number
  /** Clients of the realtime suite. */
  clients?: number
  /** Parts of the realtime suite, by commas. */
  rows?: string
}

type Suite = (args: BenchArguments, context: CommandContext) => Promise<BenchRow[]>

const SUITES: Readonly<Record<string, Suite>> = {
  broadcast: benchBroadcast,
  dispatch: benchDispatch,
  waking: benchWaking,
  push: benchPush,
  otp: benchOtp,
  realtime: benchRealtime,
  idle: benchIdle,
}

/** `carillon bench`: runs suites one after another, each beside its reference in the same run. */
export async function bench(args: BenchArguments, context: CommandContext): Promise<number> {
  const names = args.suites.length === 0 ? Object.keys(SUITES) : args.suites
  const unknown = names.find((name) => !Object.hasOwn(SUITES, name))
  if (unknown !== undefined) {
    throw new CommandError(`There is no suite "${unknown}".`, {
      remedy: `Suites are ${Object.keys(SUITES).join(', ')}.`,
      exitCode: EXIT.usage,
    })
  }
  const rows: BenchRow[] = []
  for (const name of names) {
    const measured = await (SUITES[name] as Suite)(args, context)
    printRows(measured, process.stdout)
    rows.push(...measured)
  }
  if (args.json !== undefined) await writeRows(args.json, rows)
  return EXIT.ok
}
