import type { Frame } from '@carillon/contracts'
import { Centrifuge, UnauthorizedError as RefusedToken, type Subscription } from 'centrifuge'
import { CarillonError, isUnauthorized } from '../errors.js'
import { joinSubscription, messageOf, readPresence, readStats } from './centrifuge-channel.js'
import type { Link, LinkDeps, LinkOptions } from './link.js'

const PERSONAL = 'user'
/** Full jitter between these. */
const MIN_RECONNECT_MS = 500
const MAX_RECONNECT_MS = 20_000
/** Ends that mean: nobody is signed in. */
const UNAUTHORIZED = 1
const INVALID_TOKEN = 3500
/** How long what is said in a channel waits until it is joined. */
const JOIN_TIMEOUT_MS = 5_000

/** WebSocket, or what replaces it where networks block it, in the Centrifugo client protocol. */
export function createCentrifugeLink(options: LinkOptions, { tokens, events }: LinkDeps): Link {
  const network = new EventTarget()
  const centrifuge = new Centrifuge(endpoints(options), {
    getToken: () => asCentrifuge(tokens.renewed()),
    minReconnectDelay: MIN_RECONNECT_MS,
    maxReconnectDelay: MAX_RECONNECT_MS,
    emulationEndpoint: new URL('/v1/emulation', options.url).href,
    networkEventTarget: network,
    name: 'carillon',
    // null: the platform's
    websocket: options.WebSocket ?? null,
    eventsource: options.EventSource ?? null,
    fetch: options.fetch,
  })
  const rooms = new Map<string, { subscription: Subscription; close: () => void }>()
  let epoch = ''
  let offset = 0
  let wasConnected = false

  centrifuge.on('connecting', () => events.state('connecting', null))
  centrifuge.on('connected', () => {
    wasConnected = true
    events.state('connected', null)
  })
  centrifuge.on('error', () => {
    if (centrifuge.state === 'connecting') events.state('offline', null)
  })
  centrifuge.on('disconnected', ({ code, reason }) => {
    // it would keep it for the next connection: a refused one, or one of somebody who has signed out
    centrifuge.setToken('')
    if (code === 0) return events.state('idle', null)
    tokens.forget()
    const problem = { code: code === UNAUTHORIZED ? 'UNAUTHORIZED' : 'DISCONNECTED', message: reason }
    events.state(code === UNAUTHORIZED || code === INVALID_TOKEN ? 'signed-out' : 'idle', problem)
  })
  centrifuge.on('subscribed', ({ channel, recovered, streamPosition }) => {
    if (channel !== PERSONAL) return
    if (!recovered) {
      epoch = streamPosition?.epoch ?? ''
      offset = streamPosition?.offset ?? 0
    }
    events.personal(recovered && streamPosition?.epoch === epoch)
  })
  centrifuge.on('publication', ({ channel, data, offset: at }) => {
    if (channel !== PERSONAL) return
    if (at !== undefined) {
      // a connection that was replaced while it was being read may say it twice
      if (at <= offset) return
      offset = at
    }
    events.frame(data as Frame)
  })

  const asked = async <T>(name: string, ask: (subscription: Subscription) => Promise<T>): Promise<T> => {
    const room = rooms.get(name)
    if (room === undefined) throw new CarillonError('LEFT', 'The channel was left.')
    try {
      return await ask(room.subscription)
    } catch (error) {
      throw failure(error)
    }
  }

  return {
    get connected() {
      return centrifuge.state === 'connected'
    },
    connect: () => centrifuge.connect(),
    disconnect: () => centrifuge.disconnect(),
    wake: () => network.dispatchEvent(new Event('online')),
    networkLost: () => {
      network.dispatchEvent(new Event('offline'))
      if (centrifuge.state === 'connecting') events.state('offline', null)
    },
    async rpc(method, params) {
      if (centrifuge.state !== 'connected') throw new CarillonError('NOT_AVAILABLE', 'Not connected.')
      try {
        return (await centrifuge.rpc(method, params)).data
      } catch (error) {
        throw failure(error)
      }
    },
    join(name, { token, since }) {
      const getToken = token && (() => asCentrifuge(token()))
      rooms.set(
        name,
        joinSubscription(centrifuge, { name, getToken, since, tell: (event) => events.channel(name, event) }),
      )
    },
    leave(name) {
      rooms.get(name)?.close()
      rooms.delete(name)
    },
    async publish(name, data) {
      const room = rooms.get(name)
      if (room === undefined) throw new CarillonError('LEFT', 'The channel was left.')
      // what is just beginning is waited for; after a loss nobody can tell for how long
      const beginning = centrifuge.state === 'connected' || !wasConnected
      if (beginning) await room.subscription.ready(JOIN_TIMEOUT_MS).catch(() => undefined)
      const { state } = room.subscription
      if (state === 'unsubscribed') throw new CarillonError('NOT_JOINED', 'The channel was refused.')
      if (state !== 'subscribed') {
        throw new CarillonError('OFFLINE', 'The channel is not joined at the moment.')
      }
      await room.subscription.publish(data).catch((error: unknown) => {
        const told = failure(error)
        throw told.code === 'OFFLINE' ? new CarillonError('UNKNOWN_OUTCOME', told.message) : told
      })
    },
    history: (name, { limit = 50, since, newestFirst = false }) =>
      asked(name, async (subscription) => {
        const { publications } = await subscription.history({
          limit,
          reverse: newestFirst,
          ...(since === undefined ? {} : { since: { offset: since, epoch: '' } }),
        })
        return publications.map(messageOf)
      }),
    presence: (name) => asked(name, readPresence),
    presenceStats: (name) => asked(name, readStats),
  }
}

function endpoints({ url, transports }: LinkOptions) {
  const at = (path: string) => new URL(`/v1/connection/${path}`, url).href
  const websocket = { transport: 'websocket' as const, endpoint: at('websocket').replace(/^http/, 'ws') }
  if (transports === 'websocket') return [websocket]
  return [
    websocket,
    { transport: 'http_stream' as const, endpoint: at('http_stream') },
    { transport: 'sse' as const, endpoint: at('sse') },
  ]
}

/** Our word for "nobody is signed in" in the library's. */
async function asCentrifuge(token: Promise<string>): Promise<string> {
  try {
    return await token
  } catch (error) {
    throw isUnauthorized(error) ? new RefusedToken(error.message) : error
  }
}

/** The protocol's errors: below 100 the library's own, from 400 on HTTP's. */
function failure(error: unknown): CarillonError {
  const { code, message, temporary } = error as { code?: number; message?: string; temporary?: boolean }
  const text = message ?? String(error)
  if (code === undefined || code < 100) return new CarillonError('OFFLINE', text)
  if (code === 104 || code === 108) return new CarillonError('NOT_AVAILABLE', text)
  if (code >= 400) return new CarillonError(`HTTP_${code}`, text, code)
  return new CarillonError(PROTOCOL_CODES[code] ?? `PROTOCOL_${code}`, text, temporary === true ? 503 : 400)
}

const PROTOCOL_CODES: Readonly<Record<number, string>> = {
  102: 'CHANNEL_UNKNOWN',
  103: 'CHANNEL_DENIED',
  107: 'BAD_REQUEST',
  111: 'TOO_MANY_REQUESTS',
  112: 'UNRECOVERABLE',
}
