import { type Invariant, invariant } from '../invariants.js'
import type { ChannelLog, Seen, Stretch } from './channel-log.js'

/** What one reader wrote down. */
export interface ReaderNotes {
  plan: { name: string; user: string }
  personal: ChannelLog
  room: ChannelLog
  misunderstood: readonly string[]
}

export interface Heard {
  readers: readonly ReaderNotes[]
  /** Numbers that were sent into the room, acknowledged or not. */
  attempted: ReadonlySet<number>
  /** When NATS was killed: what comes from then on until the reset may be of a tail that was lost. */
  natsKilledAt: readonly number[]
}

/** One stretch of one reader, without what came between a kill of NATS and the reset that told of it. */
interface Sure {
  name: string
  /** Of which channel: readers of the same one see the same. */
  channel: string
  isRoom: boolean
  stretch: Stretch
  seen: readonly Seen[]
}

/**
 * Holds together what readers saw: between two resets each frame once, in order, and every frame that anybody saw of the
 * channel meanwhile. A frame that all readers of a channel miss shows in the numbers of the room, or in the inbox.
 */
export function checkReaders(heard: Heard): Invariant[] {
  const sure = surelySeen(heard)
  const frames = sure.reduce((sum, { seen }) => sum + seen.length, 0)
  const logs = heard.readers.flatMap(({ plan, personal, room }) => [
    { name: `${plan.name}, own channel`, log: personal },
    { name: `${plan.name}, room`, log: room },
  ])
  const said = sure.filter(({ isRoom }) => isRoom)
  return [
    invariant('5 readers see frames in order, each once', frames, sure.flatMap(disordered)),
    invariant('5 readers miss no frame without being told', frames, [
      ...missed(sure),
      ...said.flatMap(skipped),
    ]),
    invariant('5 readers see the same frame at the same place', frames, different(sure)),
    invariant(
      '5 nothing is heard in the room that nobody said',
      said.reduce((sum, { seen }) => sum + seen.length, 0),
      said.flatMap(({ name, seen }) =>
        seen.filter(({ what }) => !heard.attempted.has(Number(what))).map(({ what }) => `${name}: ${what}`),
      ),
    ),
    invariant(
      '5 readers are told when NATS lost its memory',
      logs.length,
      logs.flatMap(({ name, log }) => untold(name, log, heard.natsKilledAt)),
    ),
    invariant(
      '5 readers understand what they are told',
      frames,
      heard.readers.flatMap(({ misunderstood }) => misunderstood),
    ),
  ]
}

function surelySeen({ readers, natsKilledAt }: Heard): Sure[] {
  return readers.flatMap(({ plan, personal, room }) => {
    const of = (log: ChannelLog, channel: string, isRoom: boolean): Sure[] =>
      log.stretches.map((stretch) => {
        const name = `${plan.name}, ${isRoom ? 'room' : 'own channel'}`
        return { name, channel, isRoom, stretch, seen: beforeKill(stretch, natsKilledAt) }
      })
    return [...of(personal, `of ${plan.user}`, false), ...of(room, 'room', true)]
  })
}

function beforeKill({ began, seen, reset }: Stretch, natsKilledAt: readonly number[]): readonly Seen[] {
  if (reset === undefined) return seen
  const killedAt = natsKilledAt.find((at) => at >= began && at <= reset.at)
  return killedAt === undefined ? seen : seen.filter(({ at }) => at < killedAt)
}

function disordered({ name, stretch, seen }: Sure): string[] {
  const wrong: string[] = []
  const created = new Set<string>()
  let last = stretch.from
  for (const { offset, what } of seen) {
    if (offset <= last) wrong.push(`${name}: ${offset} after ${last}`)
    last = offset
    if (!what.startsWith('notification.created')) continue
    if (created.has(what)) wrong.push(`${name}: ${what} again`)
    created.add(what)
  }
  return wrong
}

/** Frames that another reader of the channel saw within a stretch of this one. */
function missed(sure: readonly Sure[]): string[] {
  const wrong: string[] = []
  for (const [, stretches] of byTimeline(sure)) {
    const all = [...new Set(stretches.flatMap(({ seen }) => seen.map(({ offset }) => offset)))]
    for (const { name, stretch, seen } of stretches) {
      const own = new Set(seen.map(({ offset }) => offset))
      const end = stretch.reset === undefined ? Number.POSITIVE_INFINITY : Math.max(...own)
      const lost = all.filter((offset) => offset > stretch.from && offset <= end && !own.has(offset))
      wrong.push(...lost.map((offset) => `${name}: no ${offset}`))
    }
  }
  return wrong
}

/** Numbers of the room follow upon each other. */
function skipped({ name, seen }: Sure): string[] {
  return seen.flatMap(({ what }, index) => {
    const before = seen[index - 1]
    if (before === undefined || Number(what) === Number(before.what) + 1) return []
    return [`${name}: ${what} after ${before.what}`]
  })
}

function different(sure: readonly Sure[]): string[] {
  const wrong: string[] = []
  for (const [, stretches] of byTimeline(sure)) {
    const known = new Map<number, string>()
    for (const { name, seen } of stretches) {
      for (const { offset, what } of seen) {
        const other = known.get(offset)
        if (other === undefined) known.set(offset, what)
        else if (other !== what) wrong.push(`${name}: ${what} at ${offset}, others ${other}`)
      }
    }
  }
  return wrong
}

function byTimeline(sure: readonly Sure[]): Map<string, Sure[]> {
  const timelines = new Map<string, Sure[]>()
  for (const each of sure) {
    // what never became certain of its epoch has nothing to be compared with
    if (each.stretch.epoch === undefined) continue
    const timeline = `${each.channel} ${each.stretch.epoch}`
    timelines.set(timeline, [...(timelines.get(timeline) ?? []), each])
  }
  return timelines
}

/** Kills that were followed by no reset, and stretches in a new epoch that nobody announced. */
function untold(name: string, { stretches }: ChannelLog, natsKilledAt: readonly number[]): string[] {
  const begun = stretches[0]?.began ?? Number.POSITIVE_INFINITY
  const silent = natsKilledAt.filter(
    (at) => at > begun && !stretches.some(({ reset }) => reset !== undefined && reset.at > at),
  )
  const unannounced = stretches.filter(
    ({ reset }, index) => index < stretches.length - 1 && reset === undefined,
  )
  return [
    ...silent.map(() => `${name}: no reset after NATS was killed`),
    ...unannounced.map(({ epoch }) => `${name}: epoch ${epoch} ended in silence`),
  ]
}
