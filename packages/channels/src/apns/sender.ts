import { ChannelError } from '../errors.js'
import { fitTo } from '../fit.js'
import { createInFlight } from '../in-flight.js'
import { isExpired } from '../lifetime.js'
import type { Outgoing, OutgoingTo } from '../message.js'
import { sendEach, wrongAddress } from '../send-each.js'
import type { Sender } from '../sender.js'
import { type ChannelSettings, timeoutsOf } from '../settings.js'
import type { Verdict } from '../verdict.js'
import { readApnsCredentials } from './credentials.js'
import { APNS_MAX_BYTES, apnsPayload } from './payload.js'
import { type ApnsPool, createApnsPool } from './pool.js'
import { apnsVerdict } from './verdict.js'

const CONCURRENCY = 1000

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
    if (outgoing.address.kind !== 'apns') return wrongAddress(outgoing, 'apns')
    const { token, environment } = outgoing.address
    const now = Date.now()
    if (isExpired(outgoing.message, now)) return { kind: 'message', reason: 'EXPIRED' }
    // Anything else would be taken out by the library, or end up in the request's path.
    if (!/^[0-9a-f]{1,200}$/i.test(token)) return { kind: 'address', reason: 'BadDeviceToken' }
    const to = outgoing as OutgoingTo<'apns'>
    try {
      const fitted = fitTo(
        to,
        APNS_MAX_BYTES,
        (candidate) => apnsPayload(candidate, credentials.bundleId, now).body,
      )
      const payload = apnsPayload({ ...to, message: fitted.message }, credentials.bundleId, now)
      return apnsVerdict(await poolOf(environment ?? credentials.environment).send(payload, token, signal))
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
