import { type Connection, wireOf } from './connection.js'
import { consumerInfo } from './consumer-state.js'

/** What a durable still has before it, as the server says now. */
export interface Backlog {
  /** Not delivered yet. */
  waiting: number
  /** Delivered and not acknowledged. */
  inFlight: number
  /**
   * Everything up to this place in the stream is acknowledged. A message that was stored a moment ago may not be counted
   * in `waiting` yet; it is certain to be handled once this has reached its sequence.
   */
  acknowledgedTo: number
}

/** @throws ApiError when the durable doesn't exist or nobody answers */
export async function backlogOf(
  connection: Connection,
  durable: { stream: string; durable: string },
): Promise<Backlog> {
  const info = await consumerInfo(wireOf(connection), durable)
  return {
    waiting: info.num_pending,
    inFlight: info.num_ack_pending,
    acknowledgedTo: info.ack_floor.stream_seq,
  }
}
