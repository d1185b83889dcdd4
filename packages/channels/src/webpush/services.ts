import { isIP } from 'node:net'
import { connect } from 'node:tls'
import { createEgressAgent, guardedLookup, trustedContext } from '../egress/agent.js'
import type { EgressGuard } from '../egress/guard.js'
import { type HttpOutcome, post } from '../egress/post.js'
import { OTHER_PROTOCOL } from '../http2/lines.js'
import { createWire, type Wire } from '../http2/wire.js'
import type { Timeouts } from '../settings.js'

const MAX_ANSWER_BYTES = 4096
/** Over HTTP/1.1 each carries one message at a time, so 50 ms away these are 2500 a second. */
const CONNECTIONS = 128
/** How long a service that spoke HTTP/1.1 is not asked for HTTP/2 again. */
const HTTP1_MS = 3600_000
const MAX_SERVICES = 200

export interface PushRequest {
  url: URL
  headers: Record<string, string>
  body: Buffer
  signal: AbortSignal
}

/**
 * Requests to push services, over HTTP/2 where they speak it, which they all are expected to, and over a pool of
 * HTTP/1.1 connections where they don't: a request costs half as much on a stream as on a connection. Only addresses
 * that the guard allows are dialled. Every request settles within `requestMs` of being written and is never repeated.
 */
export interface PushServices extends AsyncDisposable {
  post(request: PushRequest): Promise<HttpOutcome>
}

/** A push service that was asked: over HTTP/2 while there is a wire. */
interface Service {
  wire: Wire | undefined
  /** Milliseconds at which HTTP/2 is tried again. */
  http1Until: number
}

export function createPushServices(options: {
  guard: EgressGuard
  timeouts: Timeouts
  ca: string | undefined
}): PushServices {
  const { guard, timeouts, ca } = options
  const agent = createEgressAgent({ guard, timeouts, ca, connections: CONNECTIONS })
  const trust = trustedContext(ca)
  const lookup = guardedLookup(guard)
  const services = new Map<string, Service>()
  /** Wires to services that went over to HTTP/1.1, for what was under way on them. */
  const retired = new Set<Wire>()

  const open = (service: Service, url: URL): Wire => {
    const host = url.hostname.replace(/^\[|\]$/g, '')
    const wire = createWire({
      authority: url.host,
      dial: () =>
        connect({
          host,
          port: Number(url.port || 443),
          ...(isIP(host) === 0 ? { servername: host } : {}),
          ALPNProtocols: ['h2', 'http/1.1'],
          lookup: lookup as never,
          ...trust,
        }),
      timeouts,
      // what a new connection takes is known after its greeting; more would be refused by who takes fewer
      streamsUnasked: 1,
      maxAnswerBytes: MAX_ANSWER_BYTES,
      onOtherProtocol() {
        if (service.wire !== wire) return
        service.wire = undefined
        service.http1Until = Date.now() + HTTP1_MS
        for (const old of retired) if (old.isEmpty()) retired.delete(old)
        retired.add(wire)
        wire.retire()
      },
    })
    return wire
  }

  const serviceOf = (url: URL): Service => {
    let service = services.get(url.origin)
    if (!service) {
      if (services.size >= MAX_SERVICES) forgetIdle(services)
      service = { wire: undefined, http1Until: 0 }
      services.set(url.origin, service)
    }
    if (!service.wire && service.http1Until <= Date.now()) service.wire = open(service, url)
    return service
  }

  const overHttp1 = ({ url, headers, body, signal }: PushRequest): Promise<HttpOutcome> =>
    post({
      url: url.href,
      ...{ headers, body, signal },
      dispatcher: agent,
      timeoutMs: timeouts.requestMs,
      maxAnswerBytes: MAX_ANSWER_BYTES,
    })

  return {
    async post(request) {
      const { url, headers, body, signal } = request
      const service = serviceOf(url)
      const { wire } = service
      if (!wire) return overHttp1(request)
      const outcome = await wire.request({ path: url.pathname + url.search, headers, body, signal })
      const isToChange =
        outcome.kind === 'not-sent' && (service.wire !== wire || outcome.reason === OTHER_PROTOCOL)
      return isToChange && !signal.aborted ? overHttp1(request) : outcome
    },
    async [Symbol.asyncDispose]() {
      const wires = [...services.values()].flatMap(({ wire }) => (wire ? [wire] : []))
      const closed = [...wires, ...retired].map((wire) => wire[Symbol.asyncDispose]())
      await Promise.all([...closed, agent.close()])
    },
  }
}

/** Endpoints are user input, and some push services have any number of hosts. */
function forgetIdle(services: Map<string, Service>): void {
  for (const [origin, { wire }] of services) if (!wire || wire.isEmpty()) services.delete(origin)
}
