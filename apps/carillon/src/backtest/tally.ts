import { CHANNELS, type Channel } from '@carillon/contracts'
import type { Decision } from '@carillon/decisions'

export type Side = 'published' | 'draft'

/** What each side would have sent, side by side. */
export interface Comparison {
  runs: Record<Side, number>
  /** Runs that were not over when the replay ended. */
  waiting: Record<Side, number>
  channels: Record<Channel, Record<Side, number>>
  /** Like `push skip UNSUBSCRIBED`. */
  withheld: Record<string, Record<Side, number>>
  more: { people: number; top: PersonChange[] }
  less: { people: number; top: PersonChange[] }
  examples: Example[]
}

export interface PersonChange {
  person: string
  published: number
  draft: number
}

/** One event and person of whom the sides decide differently. */
export interface Example {
  person: string
  event: string
  published: string[]
  draft: string[]
}

/** Counts decisions as they come; what it keeps grows with people, not with events. */
export interface Tally {
  add(side: Side, decision: Decision): void
  compare(): Comparison
}

const TOP = 10
const MOST_EXAMPLES = 5
/** Runs whose other half hasn't come yet; beyond this the oldest are forgotten, which only costs examples. */
const MOST_HALVES = 20_000

export function createTally(): Tally {
  const zero = (): Record<Side, number> => ({ published: 0, draft: 0 })
  const runs = zero()
  const waiting = zero()
  const channels = Object.fromEntries(CHANNELS.map((channel) => [channel, zero()])) as Comparison['channels']
  const withheld: Comparison['withheld'] = {}
  const people = new Map<string, Record<Side, number>>()
  const halves = new Map<string, { side: Side; decision: Half }>()
  const examples: Example[] = []
  const exampleOf = (side: Side, { person, event, told }: Half, other: Half | undefined): void => {
    if (examples.length >= MOST_EXAMPLES) return
    const others = other?.told ?? []
    if (told.join() === others.join()) return
    const [published, draft] = side === 'published' ? [told, others] : [others, told]
    examples.push({ person, event, published, draft })
  }
  return {
    add(side, decision) {
      runs[side]++
      if (decision.state === 'waiting') waiting[side]++
      const told: string[] = []
      for (const { type, outcome, reason } of decision.steps) {
        if (outcome === 'deliver') {
          channels[type as Channel][side]++
          told.push(type)
        } else if (outcome === 'skip' || outcome === 'hold') {
          const name = `${type} ${outcome} ${reason ?? ''}`.trim()
          withheld[name] ??= zero()
          withheld[name][side]++
        }
      }
      const counted = people.get(decision.recipient) ?? zero()
      people.set(decision.recipient, counted)
      counted[side] += told.length
      const half: Half = { person: decision.recipient, event: decision.event.id, told }
      const name = decision.run
      const other = halves.get(name)
      if (other !== undefined && other.side !== side) {
        halves.delete(name)
        exampleOf(side, half, other.decision)
        return
      }
      if (halves.size >= MOST_HALVES) halves.delete(halves.keys().next().value as string)
      halves.set(name, { side, decision: half })
    },
    compare() {
      for (const { side, decision } of halves.values()) exampleOf(side, decision, undefined)
      const changes = [...people].map(([person, counts]) => ({ person, ...counts }))
      const by = (sign: 1 | -1) => {
        const changed = changes.filter(({ draft, published }) => (draft - published) * sign > 0)
        changed.sort(
          (a, b) =>
            (b.draft - b.published - (a.draft - a.published)) * sign || (a.person < b.person ? -1 : 1),
        )
        return { people: changed.length, top: changed.slice(0, TOP) }
      }
      return { runs, waiting, channels, withheld, more: by(1), less: by(-1), examples }
    },
  }
}

interface Half {
  person: string
  event: string
  /** Channels, in order. */
  told: string[]
}
