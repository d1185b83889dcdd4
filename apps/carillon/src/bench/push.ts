import type { CommandContext } from '../cli.js'
import { createProgress } from '../terminal/progress.js'
import type { BenchArguments } from './bench.js'
import { type Child, startChild } from './push-child.js'
import type { ClientQuestion, Sent } from './push-client.js'
import { MEASURED, type MeasuredProvider } from './push-messages.js'
import { type PushRound, rowsOf } from './push-rows.js'
import type { Seen, SimulatorsQuestion, Stage } from './push-simulators.js'
import type { BenchRow } from './rows.js'

const MESSAGES = 20_000
/** Of mails there are fewer, since a connection carries one at a time. */
const MAIL_SHARE = 0.1
/** Messages before the clock runs, of those of a round: code is compiled and connections are open then. */
const WARM_UP_SHARE = 0.25
const ROUNDS = 3
/** A round that takes longer begins no more messages. */
const MOST_SECONDS = 6
/** As long as a provider on another continent takes to answer. */
const LATENCY_MS = 50
const DEVICES = 500

/**
 * FCM, APNs, Web Push and mail through the senders of `packages/channels`, each beside a client that speaks the raw
 * protocol over as many connections and streams. Simulators, sender and raw client are a process each; the two clients
 * take turns. CPU is that of the sending process alone. A message that was not accepted ends the suite.
 */
export async function benchPush(args: BenchArguments, _context: CommandContext): Promise<BenchRow[]> {
  const progress = createProgress(process.stdout)
  const size = { count: args.messages ?? MESSAGES, mostMs: (args.seconds ?? MOST_SECONDS) * 1_000 }
  await using simulators = startChild('push-simulators')
  const start: SimulatorsQuestion = { ask: 'start', latencyMs: LATENCY_MS, devices: DEVICES }
  const stage = await simulators.ask<Stage>(start)
  const rows: BenchRow[] = []
  for (const provider of Object.keys(MEASURED) as MeasuredProvider[]) {
    rows.push(
      ...(await progress.step(`${provider}, sender and raw client`, () =>
        measure(provider, { simulators, stage, size }),
      )),
    )
  }
  return rows
}

interface Bench {
  simulators: Child
  stage: Stage
  size: Size
}

interface Size {
  count: number
  mostMs: number
}

async function measure(provider: MeasuredProvider, bench: Bench): Promise<BenchRow[]> {
  const { simulators, stage } = bench
  const size = { ...bench.size, count: Math.ceil(bench.size.count * (provider === 'smtp' ? MAIL_SHARE : 1)) }
  const warmUp = { ...size, count: Math.ceil(size.count * WARM_UP_SHARE) }
  const seen = () => simulators.ask<Seen>({ ask: 'seen', provider } satisfies SimulatorsQuestion)
  await using ours = startChild('push-client')
  await ours.ask({ ask: 'open', provider, stage } satisfies ClientQuestion)
  await send(ours, warmUp, provider)
  const ofSender = await seen()
  if (provider === 'webpush') await simulators.ask({ ask: 'seal' } satisfies SimulatorsQuestion)
  await using raw = startChild('push-client')
  await raw.ask({ ask: 'open', provider, stage, raw: ofSender } satisfies ClientQuestion)
  await send(raw, warmUp, provider)
  const round = async (client: Child): Promise<PushRound> => {
    const before = await seen()
    const { sent, ms, cpuMicros } = await send(client, size, provider)
    const after = await seen()
    return {
      perSecond: (sent * 1_000) / ms,
      client: cpuMicros / sent,
      simulator: (after.cpuMicros - before.cpuMicros) / sent,
    }
  }
  const rounds: Record<'raw' | 'ours', PushRound[]> = { raw: [], ours: [] }
  for (let n = 0; n < ROUNDS; n++) {
    rounds.raw.push(await round(raw))
    rounds.ours.push(await round(ours))
  }
  return rowsOf({ provider, ...rounds, over: connectionsOf(ofSender) })
}

async function send(client: Child, size: Size, provider: MeasuredProvider): Promise<Sent & { sent: number }> {
  const result = await client.ask<Sent>({ ask: 'send', ...size } satisfies ClientQuestion)
  const { accepted = 0, ...others } = result.outcomes
  if (accepted === 0 || Object.keys(others).length > 0) {
    throw new Error(`The ${provider} simulator did not accept everything: ${JSON.stringify(result.outcomes)}`)
  }
  return { ...result, sent: accepted }
}

function connectionsOf({ sessions, streams, connections }: Seen): string {
  if (sessions > 0) return `${sessions} × ${streams} streams`
  return connections > 0 ? `${connections} connections` : 'pipelined'
}
