import type { RunState } from '@carillon/contracts'

/** Words that every story shares. */

export const STATE_WORDS: Readonly<Record<RunState, string>> = {
  queued: 'is queued',
  running: 'is being worked on',
  waiting: 'is waiting for its next step',
  digested: 'went into a digest',
  completed: 'is complete',
  skipped: 'was skipped',
  cancelled: 'was cancelled',
  failed: 'failed',
}

/** A sentence with a capital at its beginning and a stop at its end. */
export function sentence(text: string): string {
  const trimmed = text.trim()
  return `${trimmed.charAt(0).toUpperCase()}${trimmed.slice(1)}${/[.!?]$/.test(trimmed) ? '' : '.'}`
}

export function iso(at: number): string {
  return new Date(at).toISOString()
}

/** `"a", "b" and "c"`; what is more than `most` is counted. */
export function listed(names: readonly string[], most = 5): string {
  const shown = names.slice(0, most).map((name) => `"${name}"`)
  const rest = names.length - shown.length
  if (rest > 0) return `${shown.join(', ')} and ${rest} more`
  const last = shown.pop() ?? ''
  return shown.length === 0 ? last : `${shown.join(', ')} and ${last}`
}

/** `1 item`, `2 items`. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
