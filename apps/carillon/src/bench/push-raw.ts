import type { Client } from './push-client.js'
import type { MeasuredProvider } from './push-messages.js'
import { openRawApns, openRawFcm } from './push-raw-http2.js'
import { openRawSmtp } from './push-raw-smtp.js'
import { openRawWebPush } from './push-raw-webpush.js'
import type { Seen, Stage } from './push-simulators.js'

/** A connection's worth of a raw protocol: does one message after another. */
export interface RawLane {
  /** The outcome, `accepted` when the provider took it. */
  send(index: number): Promise<string>
}

export interface RawClient extends AsyncDisposable {
  /** What runs side by side. */
  lanes: readonly RawLane[]
}

type Opener = (stage: Stage, seen: Seen) => Promise<RawClient>

const OPENERS: Record<MeasuredProvider, Opener> = {
  fcm: openRawFcm,
  apns: openRawApns,
  webpush: openRawWebPush,
  smtp: openRawSmtp,
}

/**
 * The least that speaks a provider's protocol: over as many connections and streams as the sender used, it sends again
 * what the sender sent, made beforehand, and looks at nothing but the status. No limits, no verdicts, no time-outs.
 */
export async function openRaw(provider: MeasuredProvider, stage: Stage, seen: Seen): Promise<Client> {
  if (seen.kept.length === 0)
    throw new Error(`The ${provider} simulator kept nothing that could be sent again.`)
  const raw = await OPENERS[provider](stage, seen)
  return {
    prepare(count) {
      return async (until, note) => {
        let next = 0
        const work = async (lane: RawLane) => {
          while (next < count && performance.now() < until) note(await lane.send(next++))
        }
        await Promise.all(raw.lanes.map(work))
      }
    },
    [Symbol.asyncDispose]: () => raw[Symbol.asyncDispose](),
  }
}
