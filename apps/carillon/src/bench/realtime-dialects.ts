import { createHmac } from 'node:crypto'
import {
  clientFrame,
  eventsRequest,
  readEvents,
  readWebSocket,
  upgradeRequest,
  type WireReader,
} from './realtime-wire.js'

export const DIALECTS = [
  'carillon-websocket',
  'carillon-sse',
  'websocket',
  'socket.io',
  'nchan-websocket',
  'nchan-sse',
] as const
export type DialectName = (typeof DIALECTS)[number]

/** Whose clients they all are. */
export const TENANT = 'bench'

/** What a client needs to speak: whom it is, and what it is to hear. */
export interface Person {
  index: number
  host: string
  /** Key of user tokens, base64url. */
  tokenKey: string
  /** Id of the room that everybody of this server is in besides; absent for none. */
  room?: string
  /** Also in their own channel, where the transport leaves the choice. */
  own: boolean
  /** Messages are only counted, not read: positions stay where they were. */
  countOnly: boolean
}

export interface SpeakerEvents {
  /** Everything is joined; messages come. */
  onReady(): void
  /** A channel's message as it stands on the wire. What was missed comes before `onReady`, or right behind. */
  onMessage(channel: string, text: Buffer | string): void
  /** The server can't continue what this client has. */
  onReset(): void
  /** The server does not take this connection, by its own words. */
  onRefused(why: string): void
}

/** One client's half of a protocol. It remembers its positions from one connection to the next. */
export interface Speaker {
  open(send: (bytes: Buffer | string) => void, events: SpeakerEvents): WireReader
}

const DIALECT: Readonly<Record<DialectName, (person: Person) => Speaker>> = {
  'carillon-websocket': carillonWebSocket,
  'carillon-sse': carillonSse,
  websocket: (person) => plainWebSocket(person, '/'),
  'socket.io': socketIo,
  'nchan-websocket': (person) => plainWebSocket(person, `/ws/${nchanChannel(person)}`),
  'nchan-sse': nchanSse,
}

export function createSpeaker(name: DialectName, person: Person): Speaker {
  return DIALECT[name](person)
}

export function userOf(index: number): string {
  return `u${index}`
}

/** The room as clients name it. */
export function roomChannel(room = ''): string {
  return `room:${room}`
}

function nchanChannel({ room, index }: Person): string {
  return room ?? userOf(index)
}

const PING = '{}'
const NEW_LINE = 0x0a
/** `{"push":` begins what is no reply. */
const PUSH_AT = 2
const PUSH = 'p'.charCodeAt(0)
const DATA = 'data: '

interface SubscribeResult {
  epoch: string
  offset: number
  was_recovering?: boolean
  recovered?: boolean
  publications?: { data: unknown; offset: number }[]
}

function carillonWebSocket(person: Person): Speaker {
  const positions = new Map<string, { epoch: string; offset: number }>()
  const position = (channel: string) => {
    const known = positions.get(channel)
    return known === undefined ? {} : { recover: true, ...known }
  }
  const token = tokenOf(person)
  const channel = roomChannel(person.room)
  return {
    open(send, events) {
      const say = (command: unknown) => send(clientFrame(JSON.stringify(command)))
      const joined = (to: string, result: SubscribeResult) => {
        if (result.was_recovering === true && result.recovered !== true) events.onReset()
        positions.set(to, { epoch: result.epoch, offset: result.offset })
        for (const { data, offset } of result.publications ?? []) pushed(to, JSON.stringify(data), offset)
      }
      const pushed = (by: string, text: string, offset: number) => {
        const known = positions.get(by)
        if (known !== undefined) known.offset = offset
        events.onMessage(by, text)
      }
      const heard = (line: string) => {
        const reply = JSON.parse(line)
        if (reply.push?.pub !== undefined) {
          const { pub } = reply.push
          pushed(reply.push.channel, JSON.stringify(pub.data), pub.offset)
        } else if (reply.error !== undefined) {
          events.onRefused(reply.error.message)
        } else if (reply.connect !== undefined) {
          joined('user', reply.connect.subs.user)
          if (person.room !== undefined) say({ id: 2, subscribe: { channel, ...position(channel) } })
          else events.onReady()
        } else if (reply.subscribe !== undefined) {
          joined(channel, reply.subscribe)
          events.onReady()
        }
      }
      send(upgradeRequest('/v1/connection/websocket', person.host))
      return readWebSocket({
        onOpen: () => say({ id: 1, connect: { token, subs: { user: position('user') } } }),
        onRefused: events.onRefused,
        onText(text) {
          if (text.length === PING.length) return say({})
          if (person.countOnly && text[PUSH_AT] === PUSH) {
            for (let at = 0; at !== -1; at = text.indexOf(NEW_LINE, at + 1)) events.onMessage(channel, text)
            return
          }
          for (const line of text.toString().split('\n')) if (line !== '') heard(line)
        },
      })
    },
  }
}

function carillonSse(person: Person): Speaker {
  const room = roomChannel(person.room)
  const channels = [...(person.own ? ['user'] : []), ...(person.room === undefined ? [] : [room])]
  const path = `/v1/sse?${channels.map((channel) => `channel=${channel}`).join('&')}`
  const authorization = `Bearer ${tokenOf(person)}`
  let lastEventId: string | undefined
  return {
    open(send, events) {
      const resume = lastEventId === undefined ? {} : { 'Last-Event-ID': lastEventId }
      send(eventsRequest(path, person.host, { Authorization: authorization, ...resume }))
      let came = false
      return readEvents({
        onOpen: () => undefined,
        onRefused: events.onRefused,
        onText(block) {
          if (person.countOnly && came) {
            if (block.includes(DATA)) events.onMessage(room, block)
            return
          }
          const { id, event, data } = fieldsOf(block)
          if (id !== undefined) lastEventId = id
          if (event === 'ready') {
            came = true
            events.onReady()
          } else if (event === 'reset') events.onReset()
          else if (data !== undefined) events.onMessage(event ?? 'user', data)
          // an overloaded node answers in the words of the stream: come back later
          else if (!came) events.onRefused('retry')
        },
      })
    },
  }
}

function plainWebSocket(person: Person, path: string): Speaker {
  return {
    open(send, events) {
      send(upgradeRequest(path, person.host))
      return readWebSocket({
        onOpen: events.onReady,
        onRefused: events.onRefused,
        onText: (text) => events.onMessage(roomChannel(person.room), text),
      })
    },
  }
}

/** Socket.IO 5 over Engine.IO 4, by WebSocket alone. */
function socketIo(person: Person): Speaker {
  return {
    open(send, events) {
      send(upgradeRequest('/socket.io/?EIO=4&transport=websocket', person.host))
      return readWebSocket({
        onOpen: () => undefined,
        onRefused: events.onRefused,
        onText(text) {
          const kind = text.toString('latin1', 0, 2)
          if (kind[0] === '0') send(clientFrame('40'))
          else if (kind[0] === '2') send(clientFrame('3'))
          else if (kind === '40') events.onReady()
          else if (kind === '42') events.onMessage(roomChannel(person.room), text)
        },
      })
    },
  }
}

function nchanSse(person: Person): Speaker {
  return {
    open(send, events) {
      send(eventsRequest(`/sse/${nchanChannel(person)}`, person.host, {}))
      return readEvents({
        onOpen: events.onReady,
        onRefused: events.onRefused,
        onText(block) {
          if (block.includes(DATA)) events.onMessage(roomChannel(person.room), block)
        },
      })
    },
  }
}

function fieldsOf(block: string): { id?: string; event?: string; data?: string } {
  const fields: Record<string, string> = {}
  for (const line of block.split('\n')) {
    const colon = line.indexOf(': ')
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2)
  }
  return fields
}

/** A user token as any service would sign it. */
function tokenOf({ index, tokenKey, room }: Person): string {
  const now = Math.floor(Date.now() / 1_000)
  const text = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = {
    sub: userOf(index),
    tid: TENANT,
    iss: 'carillon',
    aud: 'carillon',
    iat: now,
    exp: now + 3_600,
    rooms: room === undefined ? [] : [room],
  }
  const signed = `${text({ alg: 'HS256', typ: 'JWT' })}.${text(claims)}`
  const signature = createHmac('sha256', Buffer.from(tokenKey, 'base64url'))
    .update(signed)
    .digest('base64url')
  return `${signed}.${signature}`
}
