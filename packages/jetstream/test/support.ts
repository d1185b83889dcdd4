import { eventually, type TestScope, useNats } from '@carillon/testkit'
import { api } from '../src/api.js'
import { wireOf } from '../src/connection.js'
import { type Connection, type ConnectionStatus, openConnection } from '../src/index.js'

/** A server whose reservations are larger than any disk a test runs on. */
export function startNats(t: TestScope): ReturnType<typeof useNats> {
  return useNats(t, { maxStore: '200G' })
}

export async function connectTo(
  t: TestScope,
  servers: string | readonly string[],
  onStatus: (status: ConnectionStatus) => void = () => undefined,
): Promise<Connection> {
  const connection = await openConnection({ servers: [servers].flat(), name: 'test', onStatus })
  t.teardown(() => connection.close())
  return connection
}

/** For publishers whose messages are counted: none is repeated because a busy server was slow to answer. */
export const UNHURRIED = { timeoutMs: 30_000, giveUpMs: 60_000 }

export function js<T = unknown>(connection: Connection, operation: string, body?: unknown): Promise<T> {
  return api<T>(wireOf(connection), operation, body)
}

export function createStream(connection: Connection, name: string, config: object): Promise<unknown> {
  return js(connection, `STREAM.CREATE.${name}`, { name, storage: 'file', allow_direct: true, ...config })
}

export function createDurable(
  connection: Connection,
  stream: string,
  durable: string,
  config: object = {},
): Promise<unknown> {
  return js(connection, `CONSUMER.CREATE.${stream}.${durable}`, {
    stream_name: stream,
    config: {
      durable_name: durable,
      ack_policy: 'explicit',
      max_ack_pending: 2_000,
      ack_wait: 30_000_000_000,
      ...config,
    },
  })
}

/**
 * What was stored a moment ago may be missing in a durable's count of what waits, so `whenCaughtUp` may come too soon
 * after a publish. Resolves once `worker` has acknowledged all that the stream holds now.
 */
export async function whenAllAcknowledged(connection: Connection, stream: string): Promise<void> {
  const { state } = await js<{ state: { last_seq: number } }>(connection, `STREAM.INFO.${stream}`)
  await eventually(async () => {
    const info = await js<{ ack_floor: { stream_seq: number } }>(connection, `CONSUMER.INFO.${stream}.worker`)
    return info.ack_floor.stream_seq >= state.last_seq
  })
}

export { eventually }
