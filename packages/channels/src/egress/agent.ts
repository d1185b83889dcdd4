import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from 'node:dns'
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls'
import { Agent } from 'undici'
import { ChannelError } from '../errors.js'
import type { Timeouts } from '../settings.js'
import type { EgressGuard } from './guard.js'

export interface EgressOptions {
  guard: EgressGuard
  timeouts: Timeouts
  /** PEM trusted in addition to the platform's. */
  ca: string | undefined
  /** Connections kept per origin. */
  connections: number
}

type LookupCallback = (error: Error | null, address: string | LookupAddress[], family?: number) => void

/** Certificates to trust: the platform's, and `ca` if there is one. Undefined keeps the platform's own default. */
export function trusted(ca: string | undefined): string[] | undefined {
  return ca === undefined ? undefined : [...rootCertificates, ca]
}

/**
 * The same, ready for use: reading 140 certificates costs a connection 10 ms and more, so it is done once for all of
 * them.
 */
export function trustedContext(ca: string | undefined): { secureContext: SecureContext } | undefined {
  const list = trusted(ca)
  return list && { secureContext: createSecureContext({ ca: list }) }
}

/**
 * A keep-alive pool for addresses that users give. The name is resolved once per connection, every address it has is
 * checked, and the connection goes to a checked address, so a name that changes its mind between check and dial
 * (DNS rebinding) gains nothing. Follows no redirect and decompresses nothing.
 */
export function createEgressAgent(options: EgressOptions): Agent {
  return new Agent({
    connections: options.connections,
    pipelining: 1,
    keepAliveTimeout: 30_000,
    // Each request has its own timer; these only catch what that timer can't reach.
    headersTimeout: options.timeouts.requestMs + 1000,
    bodyTimeout: options.timeouts.requestMs + 1000,
    maxHeaderSize: 16_384,
    connect: {
      timeout: options.timeouts.connectMs,
      lookup: guardedLookup(options.guard) as never,
      ...trustedContext(options.ca),
    },
  })
}

/** A `lookup` that hands on only addresses the guard allows, and fails when one of them is not. */
export function guardedLookup(guard: EgressGuard) {
  return (hostname: string, options: LookupOptions, callback: LookupCallback): void => {
    dnsLookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, [])
      if (addresses.length === 0 || !addresses.every(({ address }) => guard.allows(address))) {
        return callback(
          new ChannelError('EGRESS_REFUSED', 'Refused: the host name leads to a private address.'),
          [],
        )
      }
      const first = addresses[0] as LookupAddress
      if (options.all) callback(null, addresses)
      else callback(null, first.address, first.family)
    })
  }
}
