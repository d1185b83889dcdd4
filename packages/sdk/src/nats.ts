import { assertToken, eventSubject, STREAMS } from '@carillon/contracts'
import { type JetStreamClient, jetstream } from '@nats-io/jetstream'
import {
  connect,
  headers,
  type MsgHdrs,
  type NatsConnection,
  nkeyAuthenticator,
} from '@nats-io/transport-node'
import {
  type AnswerChannels,
  type AnswerChannelsOptions,
  type Answering,
  answerChannels,
} from './answer-channels.js'
import { CarillonClientError } from './errors.js'
import { type CompleteEvent, completeEvent, type EventInput } from './event.js'
import type { Published, Publisher } from './publisher.js'
import { DEFAULT_RETRY, type RetryPolicy, withRetry } from './retry.js'

export interface NatsOptions {
  servers: string | string[]
  /** Whose events these are. */
  tenant: string
  /** CloudEvents source of this service, like `/services/rides`. */
  source: string
  /** Seed of the nkey user that the operator gave this team. */
  nkeySeed?: string
  timeoutMs?: number
  retry?: RetryPolicy
}

/** A client for what services do with Carillon over NATS. Disposing it answers what was asked before it closes. */
export interface NatsClient extends Publisher {
  /**
   * Answers whether somebody may subscribe or publish in the rooms of a namespace whose rule says `authorise`. Several
   * instances share the questions. @throws ContractError `TOKEN_INVALID` for a namespace that can't be one
   */
  answerChannels(options: AnswerChannelsOptions, handler: AnswerChannels): Answering
}

/** Connects to NATS and publishes in the CloudEvents binary binding. Reconnects for ever. */
export async function connectNats(options: NatsOptions): Promise<NatsClient> {
  assertToken(options.tenant, 'tenant')
  const connection = await connect({
    servers: options.servers,
    name: options.source,
    maxReconnectAttempts: -1,
    waitOnFirstConnect: false,
    ...(options.nkeySeed === undefined
      ? {}
      : { authenticator: nkeyAuthenticator(new TextEncoder().encode(options.nkeySeed)) }),
  })
  return createNatsClient(connection, jetstream(connection), options)
}

function createNatsClient(connection: NatsConnection, js: JetStreamClient, options: NatsOptions): NatsClient {
  const answering = new Set<Answering>()
  const publish = async (input: EventInput): Promise<Published> => {
    const { event, lane } = completeEvent(input, options)
    const subject = eventSubject(lane, options.tenant, event.type)
    const body = JSON.stringify(event.data)
    const attempt = () =>
      js.publish(subject, body, {
        headers: binaryHeaders(event),
        timeout: options.timeoutMs ?? 5_000,
        expect: { streamName: STREAMS.events },
      })
    try {
      await withRetry(attempt, () => (connection.isClosed() ? undefined : {}), options.retry ?? DEFAULT_RETRY)
    } catch (cause) {
      throw new CarillonClientError('unavailable', 'NOT_STORED', 'JetStream did not acknowledge the event.', {
        cause,
      })
    }
    return { id: event.id, source: event.source }
  }
  return {
    publish,
    publishAll: (inputs) => Promise.all(inputs.map(publish)),
    answerChannels(wanted, handler) {
      const begun = answerChannels(
        connection,
        { ...wanted, tenant: wanted.tenant ?? options.tenant },
        handler,
      )
      answering.add(begun)
      return begun
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...answering].map((one) => one.stop()))
      if (connection.isClosed()) return
      // a broker that is away takes no leave: left open, the connection would look for it for ever
      await connection.drain().catch(() => connection.close())
    },
  }
}

/** `ce-*` headers of the NATS binding; values percent-encoded as it asks. No message id: keys in the database decide. */
function binaryHeaders(event: CompleteEvent): MsgHdrs {
  const sent = headers()
  const { data: _, traceparent, ...attributes } = event
  for (const [name, value] of Object.entries(attributes)) sent.set(`ce-${name}`, encodeHeader(value))
  if (traceparent !== undefined) sent.set('traceparent', traceparent)
  return sent
}

/** Space, quote, percent and everything outside printable ASCII is percent-encoded (CloudEvents NATS binding 3.1.3.2). */
function encodeHeader(value: string): string {
  return value.replace(/[^\x21\x23\x24\x26-\x7e]/gu, (char) => encodeURIComponent(char))
}
