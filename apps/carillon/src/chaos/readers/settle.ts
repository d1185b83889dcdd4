import { setTimeout as sleep } from 'node:timers/promises'
import { type Invariant, invariant } from '../invariants.js'
import type { Audience } from './audience.js'
import type { Notes } from './notes.js'
import { readInbox, readPage } from './shown-inbox.js'

const SETTLE_WITHIN_MS = 60_000
const LOOK_EVERY_MS = 200

/** What does not agree yet, by what it is about. */
interface Disagreements {
  heard: string[]
  inbox: string[]
  unread: string[]
  present: string[]
}

/**
 * Once nothing changes any more: everybody is shown what the inbox holds and is told its unread count, has heard the last
 * of the room, and exactly those who are in it are listed. Looks until all is so, at most a minute.
 */
export async function settleAudience(audience: Audience, gatewayUrl: string): Promise<Invariant[]> {
  const giveUpAt = performance.now() + SETTLE_WITHIN_MS
  for (;;) {
    const found = await look(audience, gatewayUrl)
    const agreed = Object.values(found).every((each: string[]) => each.length === 0)
    if (agreed || performance.now() > giveUpAt) return tell(audience, found)
    await sleep(LOOK_EVERY_MS)
  }
}

function tell({ readers, askable }: Audience, found: Disagreements): Invariant[] {
  const shown = readers.reduce((sum, { inbox }) => sum + inbox.ids.length, 0)
  return [
    invariant('5 every reader is live after healing', readers.length, found.heard),
    invariant('5 what readers are shown is what the inbox holds', shown, found.inbox),
    invariant('5 the unread count told is that of the inbox', readers.length, found.unread),
    invariant('5 a room lists exactly who is there', askable.length, found.present),
  ]
}

async function look(audience: Audience, gatewayUrl: string): Promise<Disagreements> {
  const { readers, askable } = audience
  const found: Disagreements = { heard: behind(audience), inbox: [], unread: [], present: [] }
  for (const user of new Set(readers.map(({ plan }) => plan.user))) {
    const theirs = readers.filter(({ plan }) => plan.user === user)
    const asking = askable.find(({ notes }) => notes.plan.user === user)
    const edge = { url: gatewayUrl, token: theirs[0]?.plan.token ?? '' }
    try {
      const ids = new Set((await readInbox(edge)).map(({ id }) => id))
      const { unread, position } = await readPage(edge)
      const told = await asking?.unread()
      if (told !== unread) found.unread.push(`${user}: ${told} by WebSocket, ${unread} over HTTP`)
      for (const notes of theirs) {
        found.inbox.push(...comparedWith(ids, notes))
        if (notes.inbox.unread !== unread)
          found.unread.push(`${notes.plan.name}: ${notes.inbox.unread} of ${unread}`)
        for (const { last } of notes.channels.values()) {
          if (last?.epoch !== position?.epoch) found.heard.push(`${notes.plan.name}: in epoch ${last?.epoch}`)
        }
      }
    } catch (error) {
      found.inbox.push(`${user}: ${String(error)}`)
    }
  }
  const expected = askable.map(({ notes }) => notes.plan.user).sort()
  for (const reader of askable) {
    const present = await reader.present().catch((error: unknown) => [JSON.stringify(error)])
    if (present.join() !== expected.join())
      found.present.push(`${reader.notes.plan.name}: ${present.join(' ')}`)
  }
  return found
}

/** Who has not heard the newest of a channel. */
function behind({ readers, speaker }: Audience): string[] {
  const last = speaker.acknowledged.at(-1)?.n
  const newest = new Map<string, number>()
  const offsetOf = ({ personal }: Notes) => personal.last?.seen.at(-1)?.offset ?? personal.last?.from ?? 0
  for (const notes of readers) {
    newest.set(notes.plan.user, Math.max(newest.get(notes.plan.user) ?? 0, offsetOf(notes)))
  }
  return readers.flatMap((notes) => {
    const wrong: string[] = []
    const heard = notes.room.last?.seen.at(-1)?.what
    if (heard !== String(last)) wrong.push(`${notes.plan.name}: room at ${heard} of ${last}`)
    const user = newest.get(notes.plan.user) ?? 0
    if (offsetOf(notes) < user) wrong.push(`${notes.plan.name}: own channel at ${offsetOf(notes)} of ${user}`)
    return wrong
  })
}

function comparedWith(ids: ReadonlySet<string>, { plan, inbox }: Notes): string[] {
  const shown = new Set(inbox.ids)
  return [
    ...(inbox.fetching ? [`${plan.name}: still fetches`] : []),
    ...[...ids].filter((id) => !shown.has(id)).map((id) => `${plan.name}: not shown ${id}`),
    ...[...inbox.announced, ...shown]
      .filter((id) => !ids.has(id))
      .map((id) => `${plan.name}: only shown ${id}`),
  ]
}
