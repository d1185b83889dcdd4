import {
  Centrifuge,
  type PublicationContext,
  type ServerSubscribedContext,
  type SubscribedContext,
} from 'centrifuge'
import WebSocket from 'ws'
import { RETURN_AFTER_MS } from './cursor-places.js'
import { Notes, type ReaderPlan } from './notes.js'

/** A reader by WebSocket can also ask and do something. */
export interface WebSocketReader {
  notes: Notes
  /** Users of the connections in the room, sorted. Rejects while it can't be told. */
  present(): Promise<string[]>
  /** As told over the connection. Rejects while it can't be told. */
  unread(): Promise<number>
  /** Marks one as read. Rejects when nobody knows whether it was. */
  read(id: string): Promise<void>
  stop(): void
}

const RETURN_WITHIN_MS = 500

/** The official client, whose own way of coming back is what is tested. */
export function readByWebSocket(plan: ReaderPlan): WebSocketReader {
  const notes = new Notes(plan)
  const client = new Centrifuge(`${plan.realtimeUrl.replace('http', 'ws')}/v1/connection/websocket`, {
    websocket: WebSocket,
    token: plan.token,
    getToken: async () => plan.token,
    minReconnectDelay: RETURN_AFTER_MS,
    maxReconnectDelay: RETURN_WITHIN_MS,
  })
  const subscription = client.newSubscription(plan.room, {
    recoverable: true,
    minResubscribeDelay: RETURN_AFTER_MS,
    maxResubscribeDelay: RETURN_WITHIN_MS,
  })
  const onSubscribed = (context: ServerSubscribedContext | SubscribedContext) => {
    const { channel, recovered, streamPosition } = context
    if (streamPosition === undefined) throw new Error(`${channel} was joined without a position.`)
    const log = notes.channels.get(channel)
    if (log?.last === undefined) notes.joined(channel, streamPosition)
    else if (!recovered) notes.reset(channel, 'not recovered', streamPosition)
  }
  const onPublication = ({ channel, data, offset }: PublicationContext) => {
    const epoch = notes.channels.get(channel)?.last?.epoch
    notes.frame(channel, { epoch, offset: offset ?? 0 }, data)
  }
  client.on('connected', () => notes.connected(new Map()))
  client.on('subscribed', (context) => notes.take(() => onSubscribed(context)))
  client.on('publication', (context) => notes.take(() => onPublication(context)))
  // a client that nobody listens to throws what went wrong on the way
  client.on('error', () => undefined)
  subscription.on('subscribed', (context) => notes.take(() => onSubscribed(context)))
  subscription.on('publication', (context) => notes.take(() => onPublication(context)))
  subscription.on('error', () => undefined)
  subscription.subscribe()
  client.connect()
  return {
    notes,
    async present() {
      const { clients } = await subscription.presence()
      return Object.values(clients)
        .map(({ user }) => user)
        .sort()
    },
    async unread() {
      const { data } = await client.rpc('inbox.unread', {})
      return (data as { unread: number }).unread
    },
    async read(id) {
      await client.rpc('inbox.read', { ids: [id] })
    },
    stop() {
      notes.stop()
      client.disconnect()
    },
  }
}
