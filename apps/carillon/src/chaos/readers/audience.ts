import { setTimeout as sleep } from 'node:timers/promises'
import { connectHttp } from '@carillon/sdk'
import { pick } from '../random.js'
import type { Notes, ReaderPlan } from './notes.js'
import { readByPolls } from './read-poll.js'
import { readSse } from './read-sse.js'
import { readByWebSocket, type WebSocketReader } from './read-websocket.js'
import { type Speaker, startSpeaker } from './speaker.js'

/** People who are connected throughout, each in every way, and somebody who speaks in the room that they are in. */
export interface Audience {
  readonly room: string
  readonly readers: readonly Notes[]
  /** Those of the readers who can be asked. */
  readonly askable: readonly WebSocketReader[]
  readonly speaker: Speaker
  /** From now on nobody marks anything, and the guest leaves. */
  calm(): Promise<void>
  /** Everybody leaves. */
  stop(): Promise<void>
}

export interface AudiencePlan {
  realtimeUrl: string
  gatewayUrl: string
  apiKey: string
  users: readonly string[]
  /** Is in the room as well, and leaves it when all calms down. */
  guest: string
  random: () => number
}

const ROOM = 'room:chaos'
const TOKEN_SECONDS = 86_400
const SPOKEN_PER_SECOND = 5
const MARK_EVERY_MS = 500
const COME_WITHIN_MS = 60_000

/** Resolves once every reader has heard something in the room. */
export async function gatherAudience(plan: AudiencePlan): Promise<Audience> {
  const { realtimeUrl, gatewayUrl, apiKey, users, guest } = plan
  const http = connectHttp({ url: gatewayUrl, apiKey, source: '/chaos' })
  const planFor = async (user: string) => {
    const { token } = await http.userToken(user, {
      ttlSeconds: TOKEN_SECONDS,
      channels: { [ROOM]: ['subscribe', 'presence'] },
    })
    return (way: string): ReaderPlan => ({
      name: `${user} by ${way}`,
      user,
      token,
      realtimeUrl,
      gatewayUrl,
      room: ROOM,
    })
  }
  const readers: Notes[] = []
  const askable: WebSocketReader[] = []
  for (const user of users) {
    const by = await planFor(user)
    const asking = readByWebSocket(by('WebSocket'))
    askable.push(asking)
    readers.push(asking.notes, readSse(by('SSE')), readByPolls(by('polls')))
  }
  const visitor = readByWebSocket((await planFor(guest))('WebSocket'))
  await http[Symbol.asyncDispose]()
  const speaker = startSpeaker({ url: gatewayUrl, apiKey, room: ROOM, perSecond: SPOKEN_PER_SECOND })
  const marking = new AbortController()
  const marks = markOn(askable, plan.random, marking.signal)
  await hearing([...readers, visitor.notes])
  return {
    room: ROOM,
    readers,
    askable,
    speaker,
    async calm() {
      marking.abort()
      visitor.stop()
      await marks
    },
    async stop() {
      marking.abort()
      visitor.stop()
      for (const reader of askable) reader.stop()
      for (const reader of readers) reader.stop()
      await Promise.all([marks, speaker.stop()])
    },
  }
}

async function hearing(readers: readonly Notes[]): Promise<void> {
  const giveUpAt = performance.now() + COME_WITHIN_MS
  for (;;) {
    const deaf = readers.filter(({ room }) => (room.last?.seen.length ?? 0) === 0)
    if (deaf.length === 0) return
    if (performance.now() > giveUpAt)
      throw new Error(`Hear nothing: ${deaf.map(({ plan }) => plan.name).join(', ')}`)
    await sleep(50)
  }
}

/** People read what they are shown, one after the other. */
async function markOn(
  readers: readonly WebSocketReader[],
  random: () => number,
  signal: AbortSignal,
): Promise<void> {
  for (let turn = 0; !signal.aborted; turn++) {
    const reader = readers[turn % readers.length] as WebSocketReader
    const unread = reader.notes.inbox.unreadIds
    // what the answer doesn't tell comes as a frame
    if (unread.length > 0) await reader.read(pick(random, unread)).catch(() => undefined)
    await sleep(MARK_EVERY_MS)
  }
}
