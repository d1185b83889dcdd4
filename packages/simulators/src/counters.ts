import type { SimulatedProvider } from './inbox.js'
import type { Simulators } from './start.js'

/** What one provider was asked and did, in the same words for all. */
export interface SimulatorCounters {
  /** Requests to it; for SMTP mails begun. */
  requests: number
  /** Messages that it took. */
  accepted: number
  /** Answers by HTTP status or SMTP code; for SMTP those that refuse. */
  byStatus: Record<string, number>
  /** TCP connections ever taken. */
  connections: number
  /** TLS handshakes; for SMTP connections, which begin without. */
  handshakes: number
  /** HTTP/2 sessions ever opened. */
  sessions: number
  /** Messages that reached a device. */
  received: number
  /** Of these, notifications that the same device had had before. */
  repeated: number
  /** Of these, notifications that stood on one screen twice. */
  shownTwice: number
  /** What only this provider counts, such as `expired`, `collapsed`, `deletedMessages`, `backgroundDropped`. */
  other: Record<string, number>
}

/** The counters of every provider, as they are now. */
export function countersOf(simulators: Simulators): Record<SimulatedProvider, SimulatorCounters> {
  const { fcm, apns, webpush, smtp, sms, webhook } = simulators
  const mail = smtp.counters
  return {
    fcm: ofHttps(fcm),
    apns: ofHttps(apns),
    webpush: ofHttps(webpush),
    sms: ofHttps({ server: sms.server, counters: { ...sms.counters, accepted: sms.counters.messages } }),
    webhook: ofHttps(webhook),
    smtp: {
      requests: mail.mails + Object.values(mail.byStatus).reduce((sum, count) => sum + count, 0),
      accepted: mail.mails,
      byStatus: { ...mail.byStatus, ...(mail.mails > 0 ? { 250: mail.mails } : {}) },
      connections: mail.connections,
      handshakes: mail.connections,
      sessions: 0,
      received: mail.received,
      repeated: mail.repeated,
      shownTwice: mail.shownTwice,
      other: {},
    },
  }
}

interface Counting {
  server: Simulators['fcm']['server']
  counters: { accepted: number; received: number; repeated: number; shownTwice: number }
}

const COMMON = ['accepted', 'received', 'repeated', 'shownTwice']

function ofHttps({ server, counters }: Counting): SimulatorCounters {
  const { requests, connections, handshakes, sessions, byStatus } = server.counters
  const { accepted, received, repeated, shownTwice } = counters
  const other = Object.entries(counters).filter(([key]) => !COMMON.includes(key))
  return {
    ...{ requests, accepted, byStatus: { ...byStatus }, connections, handshakes, sessions },
    ...{ received, repeated, shownTwice },
    other: Object.fromEntries(other.map(([key, value]) => [key, sizeOf(value)])),
  }
}

function sizeOf(value: unknown): number {
  return value instanceof Set ? value.size : Number(value)
}
