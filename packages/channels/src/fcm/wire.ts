import { connect } from 'node:tls'
import { trustedContext } from '../egress/agent.js'
import { createWire, type Wire } from '../http2/wire.js'
import type { DialAddress, Timeouts } from '../settings.js'

const FCM_HOST = 'fcm.googleapis.com'
/** Google lets so many run on one connection. */
const STREAMS = 100
const MAX_ANSWER_BYTES = 65_536

/**
 * Requests to FCM over connections that are kept: the SDK opens a new one per batch, with a malformed `:scheme`, and
 * waits for ever when the peer goes away.
 */
export function createFcmWire(options: {
  dial: DialAddress | undefined
  ca: string | undefined
  timeouts: Timeouts
}): Wire {
  const trust = trustedContext(options.ca)
  return createWire({
    authority: FCM_HOST,
    dial: () =>
      connect({
        host: options.dial?.host ?? FCM_HOST,
        port: options.dial?.port ?? 443,
        servername: FCM_HOST,
        ALPNProtocols: ['h2'],
        ...trust,
      }),
    timeouts: options.timeouts,
    streamsUnasked: STREAMS,
    maxAnswerBytes: MAX_ANSWER_BYTES,
  })
}
