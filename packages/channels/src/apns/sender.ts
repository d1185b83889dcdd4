import { ChannelError } from '../errors.js'
import { fitPayload } from '../fit.js'
import { createInFlight } from '../in-flight.js'
import { isExpired } from '../lifetime.js'
import { liveActivityProblem } from '../live-activity.js'
import { isFor, type Outgoing } from '../message.js'
import { sendEach, wrongAddress } from '../send-each.js'
import type { Sender } from '../sender.js'
import { type ChannelSettings, timeoutsOf } from '../settings.js'
import type { Verdict } from '../verdict.js'
import { readApnsCredentials } from './credentials.js'
import { apnsMeasured } from './payload.js'
import { type ApnsPool, createApnsPool } from './pool.js'
import { apnsVerdict } from './verdict.js'

const CONCURRENCY = 1000
/** Live Activities have longer ones than devices. */
const TOKEN = /^[0-9a-f]{1,400}$/i

/**
 * APNs through node-apn: two sessions per environment, opened on demand, one signing token for all of them.
 * An address says its environment; otherwise the credentials' one holds.
 */
export function openApnsSender(value: unknown, settings: ChannelSettings): Sender {
  const credentials = readApnsCredentials(value)
  const timeouts = timeoutsOf(settings)
  const inFlight = createInFlight()
  const pools = new Map<string, ApnsPool>()
  const poolOf = (environment: 'production' | 'sandbox'): ApnsPool => {
    let pool = pools.get(environment)
    if (!pool) {
      pool = createApnsPool({
        credentials,
        environment,
        dial: settings.endpoints?.apns,
        ca: settings.ca,
        timeouts,
      })
      pools.set(environment, pool)
    }
    return pool
  }
  const one = async (outgoing: Outgoing, signal: AbortSignal): Promise<Verdict> => {
    if (!isFor(outgoing, 'apns')) return wrongAddress(outgoing, 'apns')
    const { address, message } = outgoing
    const now = Date.now()
    if (isExpired(message, now)) return { kind: 'message', reason: 'EXPIRED' }
    // Anything else would be taken out by the library, or end up in the request's path.
    if (!TOKEN.test(address.token)) return { kind: 'address', reason: 'BadDeviceToken' }
    const problem = address.kind === 'apns-live-activity' ? liveActivityProblem(message) : undefined
    if (problem !== undefined) return { kind: 'message', reason: problem }
    try {
      const { payload } = fitPayload(outgoing, apnsMeasured(credentials.bundleId, now))
      const pool = poolOf(address.environment ?? credentials.environment)
      return apnsVerdict(await pool.send(payload, address.token, signal))
    } catch (error) {
      if (error instanceof ChannelError) return { kind: 'message', reason: error.code }
      throw error
    }
  }
  let disposed: Promise<void> | undefined
  return {
    provider: 'apns',
    send: (batch, signal) =>
      inFlight.run(() =>
        sendEach(batch, { signal, batchMs: timeouts.batchMs, concurrency: CONCURRENCY }, one),
      ),
    [Symbol.asyncDispose]() {
      disposed ??= (async () => {
        await inFlight.idle()
        await Promise.all([...pools.values()].map((pool) => pool[Symbol.asyncDispose]()))
      })()
      return disposed
    },
  }
}
