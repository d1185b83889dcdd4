import { dispatcherDurable, fanoutDurable, LANES, STREAMS } from '@carillon/contracts'
import { createCalendar, createConditions } from '@carillon/decisions'
import {
  assertTopology,
  backlogOf,
  type Connection,
  type Consumption,
  consume,
  createPublisher,
  createWindowPublisher,
  moveAdvisories,
  PATIENT,
  wasPublished,
} from '@carillon/jetstream'
import { countDue, type Database, maintain } from '@carillon/postgres'
import { createOnline, type RedisConnection } from '@carillon/redis'
import type { Failpoint, ProcessDeps, Service } from '@carillon/service'
import type { DispatcherConfig } from './config.js'
import { createDirectWorkflows } from './direct-workflows.js'
import { createDispatchEvents } from './events.js'
import { startFanOut } from './fan-out/start-fan-out.js'
import { measureDeadLetters } from './measure-dead-letters.js'
import { createOnDueDeliveries } from './on-due-deliveries.js'
import { createOnDueRuns } from './on-due-runs.js'
import { createOnDueSnoozed } from './on-due-snoozed.js'
import { createOnEvents } from './on-events.js'
import type { Publishing } from './publish-stored.js'
import { createRelayOutbox } from './relay-outbox.js'
import { createRulesCache } from './rules.js'
import { startUpkeep } from './upkeep.js'
import { startWaker } from './waker.js'

export interface DispatcherDeps extends ProcessDeps {
  connection: Connection
  /** Opened with the worker's login. */
  database: Database
  failpoint: Failpoint
  /** Knows who is online; without it everybody counts as offline. */
  redis?: RedisConnection
}

/** Frames on their way at a time: the high lane has a window of its own, and what stands before it in the server is short. */
const FRAMES_AT_ONCE = 256

/** Starts the dispatcher: one consumption per lane, the waker, the upkeep of partitions. Closes nothing it was given. */
export async function start(config: DispatcherConfig, deps: DispatcherDeps): Promise<Service> {
  const { connection, database, failpoint } = deps
  await assertTopology(connection, {
    streams: [STREAMS.live, STREAMS.jobsPush, STREAMS.jobsEmail, STREAMS.jobsSms, STREAMS.jobsWebhook],
    durables: LANES.flatMap((lane) => [
      { stream: STREAMS.events, durable: dispatcherDurable(lane) },
      { stream: STREAMS.jobsFanout, durable: fanoutDurable(lane) },
    ]),
  })
  const events = createDispatchEvents(deps)
  const publisher = createPublisher(connection)
  const frames = createWindowPublisher(connection, { stream: STREAMS.live, window: FRAMES_AT_ONCE })
  const urgentFrames = createWindowPublisher(connection, { stream: STREAMS.live })
  const publishing: Publishing = {
    publishJobs: (stream, messages) => publisher.publishAll(stream, messages),
    publishFrames: (messages) => frames.publishAll(messages),
    wasPublished: (frame) => wasPublished(connection, frame),
  }
  const urgent: Publishing = {
    ...publishing,
    publishFrames: (messages) => urgentFrames.publishAll(messages),
  }
  const conditions = createConditions()
  const calendar = createCalendar()
  const rules = createRulesCache(conditions, events.rulesLoaded)
  const direct = createDirectWorkflows()
  const online = deps.redis === undefined ? nobodyOnline : createOnline(deps.redis).online
  const now = Date.now
  measureDeadLetters({
    database,
    metrics: deps.metrics,
    now,
    onFailure: (error) => events.failed('metrics', error),
  })
  const { respoolAfterMs, refusedAgainMs, maxAttempts } = config
  const onEvents = {
    database,
    events,
    failpoint,
    refusedAgainMs,
    decide: { rules, direct, calendar, conditions, online, now, maxAttempts, respoolAfterMs },
  }
  const unhandled = async (stream: string, durable: string) => {
    const backlog = await backlogOf(connection, { stream, durable })
    return backlog.waiting + backlog.inFlight
  }
  const onDead = (message: { subject: string }, reason: string) =>
    deps.logger.warn({ subject: message.subject, reason }, 'event.dead')
  const defaults = { maxAttempts, respoolAfterMs }
  const fanOut = startFanOut({
    connection,
    database,
    publishing,
    events,
    failpoint,
    unhandled,
    onDead,
    respoolAfterMs,
    refusedAgainMs,
    tell: { rules, direct, calendar, conditions, online, now, defaults },
  })
  const eventConsumptions = LANES.map((lane) =>
    consume(
      connection,
      {
        stream: STREAMS.events,
        durable: dispatcherDurable(lane),
        batch: config.batchSize,
        concurrency: config.concurrency,
        ...(lane === 'bulk' ? PATIENT : {}),
      },
      createOnEvents({ ...onEvents, publishing: lane === 'high' ? urgent : publishing }),
      {
        onFailure: (error) => events.failed('events', error),
        onMissing: (error) => events.failed('topology', error),
        onDead,
      },
    ),
  )
  const consumptions: Consumption[] = [...eventConsumptions, ...fanOut.consumptions]
  // what kills its worker never gets an outcome: the server's advisories tell of it
  const advisories = moveAdvisories(connection, {
    onFailure: (error) => events.failed('advisories', error),
    onMissing: (error) => events.failed('topology', error),
  })
  const waker = startWaker({
    everyMs: config.wakeEveryMs,
    due: () => countDue(database),
    onFailure: events.failed,
    work: [
      createOnDueRuns({
        database,
        rules,
        direct,
        calendar,
        conditions,
        online,
        publishing,
        events,
        failpoint,
        now,
        refusedAgainMs,
        defaults,
      }),
      createOnDueDeliveries({
        database,
        publishJobs: publishing.publishJobs,
        unhandled,
        events,
        respoolAfterMs,
        refusedAgainMs,
      }),
      fanOut.due,
      createOnDueSnoozed({ database, publishFrames: publishing.publishFrames, events, failpoint }),
      createRelayOutbox({
        database,
        publish: publishing.publishJobs,
        publishFrames: publishing.publishFrames,
        events,
      }),
    ],
  })
  const upkeep = startUpkeep({
    run: () => maintain(database, { daysAhead: 14, retainDays: config.retainDays }),
    onFailure: (error) => events.failed('upkeep', error),
  })
  const removeCheck = deps.health.add('dispatcher', () =>
    consumptions.every((consumption) => consumption.stats().bound)
      ? undefined
      : 'not bound to its durables yet',
  )
  const drain = async () => {
    fanOut.stop()
    await Promise.all([...consumptions, advisories].map((consumption) => consumption.drain()))
    await waker.drain()
  }
  return {
    name: 'dispatcher',
    drain,
    async [Symbol.asyncDispose]() {
      removeCheck()
      upkeep.stop()
      await drain()
      await waker[Symbol.asyncDispose]()
      await publisher[Symbol.asyncDispose]()
      await frames[Symbol.asyncDispose]()
      await urgentFrames[Symbol.asyncDispose]()
    },
  }
}

async function nobodyOnline(): Promise<ReadonlySet<string>> {
  return new Set()
}
