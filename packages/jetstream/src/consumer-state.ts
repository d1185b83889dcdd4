import { setTimeout as sleep } from 'node:timers/promises'
import { api } from './api.js'
import type { Wire } from './connection.js'
import { TopologyError } from './errors.js'

interface Durable {
  stream: string
  durable: string
}

export interface ConsumerInfo {
  num_pending: number
  num_ack_pending: number
  num_redelivered: number
  num_waiting: number
  ack_floor: { stream_seq: number }
  config: { max_ack_pending?: number; ack_wait?: number }
}

export interface ConsumerLimits {
  maxAckPending: number
  ackWaitMs: number
}

const RETRY_MIN_MS = 250
const RETRY_MAX_MS = 2_000
const POLL_MIN_MS = 5
const POLL_MAX_MS = 50

export function consumerInfo(wire: Wire, { stream, durable }: Durable): Promise<ConsumerInfo> {
  return api<ConsumerInfo>(wire, `CONSUMER.INFO.${stream}.${durable}`)
}

/** Asks until the durable is there; undefined when `isDone` says so first. */
export async function consumerLimits(
  wire: Wire,
  durable: Durable,
  events: { onMissing(error: Error): void; isDone(): boolean },
): Promise<ConsumerLimits | undefined> {
  for (let attempt = 0; ; attempt++) {
    if (events.isDone() || wire.closed) return undefined
    try {
      const { config } = await consumerInfo(wire, durable)
      if (events.isDone()) return undefined
      const maxAckPending = config.max_ack_pending ?? 1000
      return {
        maxAckPending: maxAckPending > 0 ? maxAckPending : Number.POSITIVE_INFINITY,
        ackWaitMs: (config.ack_wait ?? 30_000_000_000) / 1_000_000,
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      events.onMissing(
        new TopologyError('MISSING', [
          `${durable.stream} has no durable ${durable.durable} (${reason}). Run: carillon topology apply`,
        ]),
      )
      await sleep(Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** attempt))
    }
  }
}

/**
 * Polls until the durable has delivered everything and has everything acknowledged. The server counts what was stored a
 * moment ago a little later: after a publish, compare the acknowledgement floor with the stream's last sequence instead.
 */
export async function whenCaughtUp(wire: Wire, durable: Durable, signal?: AbortSignal): Promise<void> {
  for (let waitMs = POLL_MIN_MS; ; waitMs = Math.min(POLL_MAX_MS, waitMs * 2)) {
    signal?.throwIfAborted()
    const info = await consumerInfo(wire, durable).catch((error: unknown) => {
      if (wire.closed) throw error
      return undefined
    })
    if (info?.num_pending === 0 && info.num_ack_pending === 0) return
    await sleep(waitMs, undefined, signal === undefined ? {} : { signal })
  }
}
