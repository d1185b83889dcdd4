import type { Logger, Metrics } from '@carillon/service'
import type { Transport } from './clients/connections.js'
import type { Disconnect } from './protocol/codes.js'
import type { ChannelHooks } from './stream/channel-spec.js'
import type { Attachment } from './stream/hub.js'

/** One function per thing that happens: its counter, and a log line where somebody would look for one. */
export interface RealtimeEvents {
  channelHooks: ChannelHooks
  attached(transport: Transport, attachment: Attachment): void
  refused(transport: Transport, reason: 'admission' | 'per-user'): void
  slow(transport: Transport): void
  disconnected(transport: Transport, disconnect: Disconnect): void
  failed(error: unknown): void
  /** Who is present could not be shared. */
  presenceFailed(error: unknown): void
  drained(connections: number, ms: number): void
}

/** The same trouble is logged once in so long. */
const QUIET_MS = 60_000

export function createEvents(logger: Logger, metrics: Metrics): RealtimeEvents {
  const delivered = metrics.counter({
    name: 'realtime_frames_delivered_total',
    help: 'Frames given to connections.',
  })
  const gaps = metrics.counter({
    name: 'realtime_gaps_total',
    help: 'Times a live message was missed and read back from the stream.',
  })
  const resets = metrics.counter({
    name: 'realtime_resets_total',
    help: 'Channels begun again while clients were connected.',
    labels: ['reason'],
  })
  const attachments = metrics.counter({
    name: 'realtime_attachments_total',
    help: 'Channels joined by clients.',
    labels: ['transport', 'outcome'],
  })
  const refusals = metrics.counter({
    name: 'realtime_refused_total',
    help: 'Connections refused.',
    labels: ['transport', 'reason'],
  })
  const disconnects = metrics.counter({
    name: 'realtime_disconnects_total',
    help: 'Connections ended by this node.',
    labels: ['transport', 'reason'],
  })
  const poison = metrics.counter({
    name: 'realtime_frames_refused_total',
    help: 'Stored frames that are not a JSON object and were left out.',
  })
  const presenceFailures = metrics.counter({
    name: 'realtime_presence_failures_total',
    help: 'Times that who is present could not be written, read or told.',
  })
  let presenceQuietUntil = 0
  return {
    channelHooks: {
      onDelivered: (frames, subscribers) => delivered.inc(frames * subscribers),
      onGap: () => gaps.inc(),
      onReset(spec, reason, subscribers) {
        resets.inc({ reason })
        logger.warn({ channel: spec.storedSubject, reason, subscribers }, 'channel.reset')
      },
      onRefused(spec, sequence) {
        poison.inc()
        logger.warn({ channel: spec.storedSubject, sequence }, 'frame.refused')
      },
    },
    attached(transport, { outcome, reason }) {
      attachments.inc({ transport, outcome: reason === undefined ? outcome : `${outcome}-${reason}` })
    },
    refused(transport, reason) {
      refusals.inc({ transport, reason })
    },
    slow(transport) {
      disconnects.inc({ transport, reason: 'slow' })
    },
    disconnected(transport, { reason }) {
      disconnects.inc({ transport, reason })
    },
    failed(error) {
      logger.error({ err: error }, 'connection.failed')
    },
    presenceFailed(error) {
      presenceFailures.inc()
      // a Redis that is away fails several times a second
      if (performance.now() < presenceQuietUntil) return
      presenceQuietUntil = performance.now() + QUIET_MS
      logger.warn({ err: error }, 'presence.failed')
    },
    drained(connections, ms) {
      logger.info({ connections, ms }, 'connections.drained')
    },
  }
}
