import type { Frame } from '@carillon/contracts'
import type { ChannelMessage, Member, PresenceStats, Problem } from '../api.js'
import { backoffMs, createAlarm } from '../backoff.js'
import { CarillonError, isUnauthorized } from '../errors.js'
import type { Link, LinkDeps, LinkOptions } from './link.js'

const PERSONAL = 'user'
const CLOSED = 2
/** Channels that join in the same moment share one new connection. */
const REOPEN_AFTER_MS = 10
/** Channels of one connection, the personal one among them. */
const MAX_CHANNELS = 7
/** What a room keeps. */
const MAX_HISTORY = 200

/** A plain EventSource on `/v1/sse`. It only hears: whatever is asked or said goes over HTTP. */
export function createEventSourceLink(options: LinkOptions, { tokens, http, events }: LinkDeps): Link {
  const Source = (options.EventSource ?? globalThis.EventSource) as typeof EventSource
  const channels = new Map([[PERSONAL, { heard: false, proven: true }]])
  let source: EventSource | undefined
  let wanted = false
  let connected = false
  let lastId = ''
  let failures = 0
  /** Counts connections: what an old one says is not listened to. */
  let generation = 0
  /** A token that may have ended: the next connection has another one. */
  let doubted: string | undefined
  const again = createAlarm(() => void open())

  const close = () => {
    generation += 1
    connected = false
    again.clear()
    source?.close()
    source = undefined
  }
  const retry = () => {
    close()
    events.state('offline', null)
    again.set(backoffMs(failures++))
  }
  const open = async () => {
    close()
    const mine = generation
    let token: string
    try {
      token = await (doubted === undefined ? tokens.current() : tokens.renewed(doubted))
      doubted = undefined
    } catch (error) {
      if (mine !== generation) return
      if (!isUnauthorized(error)) return retry()
      wanted = false
      return events.state('signed-out', { code: 'UNAUTHORIZED', message: (error as Error).message })
    }
    if (mine !== generation) return
    // one channel that is refused would end the connection for all
    await Promise.all([...channels].map(([name, { proven }]) => proven || prove(name, token)))
    if (mine === generation) listen(token)
  }
  const prove = async (name: string, token: string) => {
    const refusal = await refusalOf(options, name, token)
    const channel = channels.get(name)
    if (channel === undefined) return
    if (refusal === undefined) channel.proven = true
    else {
      channels.delete(name)
      events.channel(name, { type: 'refused', problem: refusal })
    }
  }
  const listen = (token: string) => {
    const url = new URL('/v1/sse', options.url)
    for (const name of channels.keys()) url.searchParams.append('channel', name)
    url.searchParams.set('token', token)
    if (lastId !== '') url.searchParams.set('last_event_id', lastId)
    const mine = new Source(url.href)
    source = mine
    const on = (type: string, take: (data: unknown) => void) =>
      mine.addEventListener(type, (event) => {
        if (source !== mine) return
        const { data, lastEventId } = event as MessageEvent<string>
        if (lastEventId !== '') lastId = lastEventId
        take(JSON.parse(data))
      })
    on('ready', (data) => ready((data as { channels: Ready }).channels))
    on('reset', (data) => reset((data as { channel: string }).channel))
    on('expired', () => {
      doubted = token
      void open()
    })
    on('message', (data) => events.frame(data as Frame))
    for (const name of channels.keys()) {
      if (name !== PERSONAL)
        on(name, (data) => events.channel(name, { type: 'message', message: messageOf(data as Publication) }))
    }
    mine.addEventListener('error', () => {
      if (source !== mine) return
      connected = false
      if (mine.readyState !== CLOSED) return events.state('connecting', null)
      // it doesn't tell why: the token may have ended, or no longer let into a channel
      doubted = token
      for (const [name, channel] of channels) channel.proven = name === PERSONAL
      retry()
    })
  }
  const ready = (told: Ready) => {
    failures = 0
    connected = true
    events.state('connected', null)
    for (const [name, channel] of channels) {
      const recovered = told[name]?.recovered === true
      const { heard } = channel
      channel.heard = true
      if (name === PERSONAL) events.personal(recovered)
      else events.channel(name, { type: 'joined', recovered: recovered || !heard, position: null })
    }
  }
  const reset = (name: string) => {
    if (name === PERSONAL) events.personal(false)
    else if (channels.has(name)) events.channel(name, { type: 'joined', recovered: false, position: null })
  }
  const ask = async <T>(name: string, what: string) => {
    if (!name.startsWith('room:')) throw new CarillonError('NOT_AVAILABLE', 'Only rooms have this.')
    return (await http.call('GET', `/v1/me/channels/${encodeURIComponent(name)}/${what}`)) as T
  }
  const reopen = () => {
    if (!wanted) return
    again.clear()
    again.set(REOPEN_AFTER_MS)
  }

  return {
    get connected() {
      return connected
    },
    connect() {
      if (wanted) return
      wanted = true
      events.state('connecting', null)
      void open()
    },
    disconnect() {
      wanted = false
      close()
      events.state('idle', null)
    },
    wake() {
      if (wanted && !connected && source === undefined) reopen()
    },
    networkLost() {
      if (wanted) retry()
    },
    rpc: async () => {
      throw new CarillonError('NOT_AVAILABLE', 'This transport only hears.')
    },
    join(name) {
      if (channels.size >= MAX_CHANNELS) {
        const message = `At most ${MAX_CHANNELS - 1} channels with this transport.`
        return events.channel(name, { type: 'refused', problem: { code: 'NOT_AVAILABLE', message } })
      }
      channels.set(name, { heard: false, proven: false })
      reopen()
    },
    leave(name) {
      if (channels.delete(name)) reopen()
    },
    publish: async () => {
      throw new CarillonError('NOT_AVAILABLE', 'This transport only hears.')
    },
    async history(name, { limit = 50, since, newestFirst = false }) {
      const query = `?limit=${Math.min(limit, MAX_HISTORY)}&reverse=${newestFirst}`
      const path = `history${query}${since === undefined ? '' : `&since=${since}`}`
      const { publications } = await ask<{ publications: Publication[] }>(name, path)
      return publications.map(messageOf)
    },
    async presence(name) {
      const { members, ...stats } = await ask<PresenceStats & { members?: Info[] }>(name, 'presence')
      return { ...stats, members: members?.map(memberOf) ?? null }
    },
    presenceStats: (name) => ask(name, 'presence-stats'),
  }
}

/** Why a channel would end the connection; undefined when it would not, or that can't be told. */
async function refusalOf(options: LinkOptions, name: string, token: string): Promise<Problem | undefined> {
  const url = new URL('/v1/sse', options.url)
  url.searchParams.set('channel', name)
  const stop = new AbortController()
  try {
    const { status } = await options.fetch(url, {
      headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream' },
      credentials: 'omit',
      signal: stop.signal,
    })
    if (status !== 400 && status !== 403 && status !== 404) return undefined
    const code = status === 403 ? 'CHANNEL_DENIED' : 'CHANNEL_UNKNOWN'
    return { code, message: `The server answered ${status}.` }
  } catch {
    return undefined
  } finally {
    stop.abort()
  }
}

type Ready = Record<string, { recovered: boolean }>

interface Info {
  user: string
  client: string
  chan_info?: unknown
}

interface Publication {
  data: unknown
  offset?: number
  key?: string
  info?: Info
}

function messageOf({ data, offset, key, info }: Publication): ChannelMessage {
  return {
    data,
    offset: offset ?? null,
    key: key ?? null,
    from: info === undefined || (info.user === '' && info.client === '') ? null : memberOf(info),
  }
}

function memberOf({ user, client, chan_info: info }: Info): Member {
  return { client, user, info: info ?? null }
}
