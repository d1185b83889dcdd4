import type { Channel } from '@carillon/contracts'
import { createCelCompiler, type Expression } from './cel.js'
import type { Preference, QuietHours } from './facts.js'

/** A word on a category and a channel as it is stored or written; null stands for all, `condition` is CEL. */
export interface WrittenWord {
  category: string | null
  channel: string | null
  enabled: boolean
  condition: string | null
}

/** Conditions of preferences, compiled once each. */
export interface Conditions {
  preferenceOf(word: WrittenWord): Preference
}

/** Conditions kept compiled: people choose among those that a preference page offers. */
const KEPT_CONDITIONS = 2_000

export function createConditions(): Conditions {
  const cel = createCelCompiler()
  const known = new Map<string, Expression>()
  const compile = (text: string): Expression => {
    const kept = known.get(text)
    if (kept !== undefined) return kept
    const compiled = cel.compile(text)
    // it was checked when it was stored; what no longer compiles doesn't hold
    const holds: Expression = compiled.ok
      ? compiled.expression
      : () => ({ ok: false, problem: compiled.problem })
    if (known.size >= KEPT_CONDITIONS) known.delete(known.keys().next().value as string)
    known.set(text, holds)
    return holds
  }
  return {
    preferenceOf({ category, channel, enabled, condition }) {
      const preference: Preference = { category, channel: channel as Channel | null, enabled }
      if (condition !== null) preference.condition = { text: condition, holds: compile(condition) }
      return preference
    },
  }
}

/** What rings: a mail can be read in the morning. */
const QUIET_CHANNELS: readonly Channel[] = ['push', 'sms']

/** Quiet hours as they are stored or written; they hold push and sms unless they say otherwise. */
export function quietHoursOf(
  written: { windows: QuietHours['windows']; channels?: readonly Channel[] | undefined },
  by: QuietHours['by'],
): QuietHours {
  return { windows: written.windows, channels: written.channels ?? QUIET_CHANNELS, by }
}
