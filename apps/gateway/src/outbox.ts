import { STREAMS } from '@carillon/contracts'
import type { OutgoingMessage, Publisher, WindowPublisher } from '@carillon/jetstream'
import { type Database, deleteOutbox, insertOutbox, type Tx } from '@carillon/postgres'
import type { GatewayEvents } from './events.js'

/** A message that must be heard if, and only if, a change was committed. */
export interface Told {
  stream: string
  subject: string
  messageId: string
  body: string
}

export interface Outbox {
  /**
   * Runs `work` in the tenant's transaction; what it tells is written along with it and published right after the
   * commit. What can't be published now is left to the relay.
   */
  change<T>(tenant: string, work: (tx: Tx, tell: (message: Told) => void) => Promise<T>): Promise<T>
}

export function createOutbox(deps: {
  database: Database
  publisher: Publisher
  frames: WindowPublisher
  events: GatewayEvents
}): Outbox {
  const { database, publisher, frames, events } = deps
  const publish = (stream: string, messages: OutgoingMessage[]) =>
    stream === STREAMS.live ? frames.publishAll(messages) : publisher.publishAll(stream, messages)

  const publishNow = async (tenant: string, told: readonly Told[], ids: readonly number[]) => {
    try {
      const done: number[] = []
      await Promise.all(
        [...new Set(told.map((message) => message.stream))].map(async (stream) => {
          const places = told.flatMap((message, place) => (message.stream === stream ? [place] : []))
          const outcomes = await publish(
            stream,
            places.map((place) => {
              const { subject, body, messageId } = told[place] as Told
              return { subject, body, messageId }
            }),
          )
          outcomes.forEach((outcome, index) => {
            if (outcome.ok) done.push(ids[places[index] as number] as number)
          })
        }),
      )
      if (done.length > 0) await database.inTenant(tenant, (tx) => deleteOutbox(tx, done))
      if (done.length < told.length) events.leftForRelay(told.length - done.length, undefined)
    } catch (error) {
      events.leftForRelay(told.length, error)
    }
  }

  return {
    async change(tenant, work) {
      const told: Told[] = []
      let ids: number[] = []
      const value = await database.inTenant(tenant, async (tx) => {
        const result = await work(tx, (message) => told.push(message))
        if (told.length > 0) ids = await insertOutbox(tx, tenant, told)
        return result
      })
      if (told.length > 0) await publishNow(tenant, told, ids)
      return value
    },
  }
}
