import pc from 'picocolors'
import type { Audience } from './audience.js'
import type { Seen } from './channel-log.js'

/** What the readers of a run went through. */
export interface Reading {
  readers: number
  frames: number
  /** Connections beyond the first of each. */
  reconnects: number
  /** How often a channel of a reader was reset, by reason. */
  resets: Record<string, number>
  /** Numbers that were said in the room. */
  said: number
}

export function readingOf({ readers, speaker }: Pick<Audience, 'readers' | 'speaker'>): Reading {
  const stretches = readers.flatMap(({ personal, room }) => [...personal.stretches, ...room.stretches])
  const resets: Record<string, number> = {}
  for (const { reset } of stretches) {
    if (reset !== undefined) resets[reset.reason] = (resets[reset.reason] ?? 0) + 1
  }
  return {
    readers: readers.length,
    frames: stretches.reduce((sum, { seen }) => sum + seen.length, 0),
    reconnects: readers.reduce((sum, { connects }) => sum + connects - 1, 0),
    resets,
    said: speaker.acknowledged.length,
  }
}

/** Milliseconds from a moment until every reader has heard something that was said after it; Infinity for never. */
export function liveAfter(
  { readers, speaker }: Pick<Audience, 'readers' | 'speaker'>,
  moment: number,
): number {
  const first = speaker.acknowledged.find(({ began }) => began >= moment)
  if (first === undefined) return Number.POSITIVE_INFINITY
  const heardAt = readers.map(({ room }) => {
    const heard = (seen: readonly Seen[]) => seen.find(({ what }) => Number(what) >= first.n)?.at
    for (const { seen } of room.stretches) {
      const at = heard(seen)
      if (at !== undefined) return at
    }
    return Number.POSITIVE_INFINITY
  })
  return Math.max(...heardAt) - moment
}

export function tellReading(reading: Reading, out: { write(text: string): unknown }): void {
  const { readers, frames, reconnects, resets, said } = reading
  const told = Object.entries(resets).map(([reason, count]) => `${count} × ${reason}`)
  out.write(
    `  ${readers} readers saw ${frames} frames ${pc.dim(`(${said} said in the room)`)}, came back ${reconnects} ×, were reset ${told.join(', ') || 'never'}\n`,
  )
}
