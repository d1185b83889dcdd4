import { type ChannelSettings, createRegistry } from '@carillon/channels'
import {
  type DeliveryChannel,
  deliveryDurable,
  isDeliveryChannel,
  jobStream,
  LANES,
  type Lane,
  STREAMS,
} from '@carillon/contracts'
import { assertTopology, type Connection, consume, createPublisher, PATIENT } from '@carillon/jetstream'
import type { Database } from '@carillon/postgres'
import { assertReach, CarillonError, type Failpoint, type ProcessDeps, type Service } from '@carillon/service'
import { createCircuits } from './circuit.js'
import type { DeliveryConfig } from './config.js'
import { createDatabaseClock } from './database-clock.js'
import { createDeliveryEvents } from './events.js'
import { createOnJobs, type OnJobsDeps } from './on-jobs.js'

export interface DeliveryDeps extends ProcessDeps {
  connection: Connection
  /** Opened with the worker's login. */
  database: Database
  failpoint: Failpoint
}

/** Of each lane. A batch waits for its slowest answer, so there are several. */
const BATCHES_IN_FLIGHT = 4

/** Starts the workers of the channels named, one consumption per lane. Closes nothing it was given. */
export async function start(config: DeliveryConfig, deps: DeliveryDeps): Promise<Service> {
  const channels = checkChannels(config.channels)
  assertReach(config)
  const { connection, database, failpoint } = deps
  await assertTopology(connection, {
    streams: [STREAMS.receipts],
    durables: channels.flatMap((channel) =>
      LANES.map((lane) => ({ stream: jobStream(channel), durable: deliveryDurable(channel, lane) })),
    ),
  })
  if (channels.includes('email') && config.publicUrl === undefined) {
    deps.logger.warn({ remedy: 'Set CARILLON_PUBLIC_URL.' }, 'mail.without-unsubscribe')
  }
  const events = createDeliveryEvents(deps)
  const publisher = createPublisher(connection)
  const registry = createRegistry({
    settings: { ...(config.providerSettings as ChannelSettings), mailRelays: config.mailRelays },
  })
  const { now, heard } = createDatabaseClock(Date.now)
  const jobs: OnJobsDeps = {
    database,
    accounts: {
      database,
      registry,
      masterKey: Buffer.from(config.masterKey, 'base64url'),
      versions: new Map(),
      now,
    },
    circuits: createCircuits(),
    publishReceipts: (stream, messages) => publisher.publishAll(stream, messages),
    events,
    failpoint,
    receiptKey: Buffer.from(config.receiptKey, 'base64url'),
    publicUrl: config.publicUrl,
    leaseMs: config.leaseMs,
    retryBaseMs: config.retryBaseMs,
    holdMs: config.holdMs,
    now,
    heard,
    random: Math.random,
  }
  const consumptions = channels.flatMap((channel) => {
    const onJobs = createOnJobs(channel, jobs)
    return LANES.map((lane) =>
      consume(
        connection,
        {
          stream: jobStream(channel),
          durable: deliveryDurable(channel, lane),
          batch: config.batchSize,
          concurrency: BATCHES_IN_FLIGHT,
          ...(isUrgent(channel, lane) ? {} : PATIENT),
        },
        onJobs,
        {
          onFailure: (error) => events.failed(channel, error),
          onMissing: (error) => events.failed('topology', error),
          onDead: (message, reason) => deps.logger.warn({ subject: message.subject, reason }, 'job.dead'),
        },
      ),
    )
  })
  const removeCheck = deps.health.add('delivery', () =>
    consumptions.every((consumption) => consumption.stats().bound)
      ? undefined
      : 'not bound to its durables yet',
  )
  const drain = async () => {
    await Promise.all(consumptions.map((consumption) => consumption.drain()))
  }
  return {
    name: 'delivery',
    drain,
    async [Symbol.asyncDispose]() {
      removeCheck()
      await drain()
      await registry[Symbol.asyncDispose]()
      await publisher[Symbol.asyncDispose]()
    },
  }
}

/** What somebody may stand and wait for; a mail may come ten seconds later after an outage. */
function isUrgent(channel: DeliveryChannel, lane: Lane): boolean {
  return lane === 'high' || (lane === 'normal' && channel === 'push')
}

function checkChannels(names: readonly string[]): DeliveryChannel[] {
  const channels = names.filter(isDeliveryChannel)
  if (channels.length === names.length && channels.length > 0) return channels
  throw new CarillonError('CONFIG_INVALID', `Not all of "${names.join(', ')}" are channels with a worker.`, {
    remedy: 'CARILLON_DELIVERY_CHANNELS takes push, email, sms and webhook.',
  })
}
