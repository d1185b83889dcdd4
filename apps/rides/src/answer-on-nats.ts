import { connectNats } from '@carillon/sdk'
import { ConfigError } from '@carillon/service'
import type pg from 'pg'
import { answerFor, rideOfChannel } from './chat/channel-answer.js'
import { NAMESPACE } from './chat/channel-rule.js'
import type { RidesConfig } from './config.js'
import type { RidesEvents } from './events.js'
import { findRide } from './ride/ride-store.js'

export interface AnswerDeps {
  pool: pg.Pool
  events: RidesEvents
  source: string
  now(): number
}

/** Answers Carillon's questions about the channels of rides until it is disposed. Undefined: NATS is not configured. */
export async function answerOnNats(
  { natsUrl, natsSeed, tenant }: RidesConfig,
  { pool, events, source, now }: AnswerDeps,
): Promise<AsyncDisposable | undefined> {
  if (natsUrl === undefined) return undefined
  if (tenant === undefined) throw tenantMissing()
  const nats = await connectNats({
    servers: natsUrl,
    tenant,
    source,
    ...(natsSeed === undefined ? {} : { nkeySeed: natsSeed }),
  })
  const onFailure = (error: unknown) => events.workPostponed('answer about a channel', error)
  nats.answerChannels({ namespace: NAMESPACE, onFailure }, async (question) => {
    const id = rideOfChannel(question.channel)
    return answerFor(id === undefined ? undefined : await findRide(pool, id), question, now())
  })
  return nats
}

function tenantMissing(): ConfigError {
  return new ConfigError([
    {
      key: 'RIDES_CARILLON_TENANT',
      problem: 'is missing.',
      remedy: 'With RIDES_NATS_URL, name the tenant whose channels are answered for.',
    },
  ])
}
