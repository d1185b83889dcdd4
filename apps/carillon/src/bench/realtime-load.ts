import { startChild } from './push-child.js'
import type { ClientsPlan, ClientsQuestion, Judged, Opened, Returned } from './realtime-clients.js'
import type { Contestant } from './realtime-contestants.js'

/** The clients of one server, in a process of their own. */
export interface Load extends AsyncDisposable {
  opened: Opened
  /** Until each client has had so many messages. Throws when some never came. */
  untilEach(messages: number): Promise<void>
  ages(): Promise<number[]>
  drop(): Promise<Returned>
  judge(channels: Readonly<Record<string, number>>): Promise<Judged>
}

const TIMEOUT_MS = 60_000

/** Opens the clients, and resolves when all of them are in. */
export async function startLoad(
  server: Contestant,
  plan: { inRoom: boolean; from?: number } & Pick<ClientsPlan, 'count' | 'keep'>,
): Promise<Load> {
  const child = startChild('realtime-clients')
  const ask = <T>(question: ClientsQuestion) => child.ask<T>(question)
  const { dialect, port, tokenKey, room, own = true } = server
  const { count, keep, inRoom, from = 0 } = plan
  const opened = await ask<Opened>({
    ask: 'open',
    dialect,
    port,
    tokenKey,
    from,
    count,
    keep,
    own: own || !inRoom,
    ...(inRoom && { room }),
  })
  return {
    opened,
    async untilEach(messages) {
      const { delivered } = await ask<{ delivered: number }>({
        ask: 'await',
        each: messages,
        timeoutMs: TIMEOUT_MS,
      })
      const wanted = messages * count
      if (delivered < wanted) throw new Error(`${server.name}: ${delivered} of ${wanted} messages came.`)
    },
    ages: () => ask({ ask: 'ages' }),
    drop: () => ask({ ask: 'drop', timeoutMs: TIMEOUT_MS }),
    judge: (channels) => ask({ ask: 'judge', channels, timeoutMs: TIMEOUT_MS / 4 }),
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  }
}
