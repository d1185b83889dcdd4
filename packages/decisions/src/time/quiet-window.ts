import { clockTimeProblem, daysProblem, isRecord, type Weekday } from './local-time.js'

/**
 * From "from" inclusive until "to" exclusive; from > to goes over midnight; from === to is the whole day.
 * `days` are the days on which the window begins; no days means every day.
 */
export interface QuietWindow {
  from: string
  to: string
  days?: readonly Weekday[]
}

/** What is wrong with a quiet window as it was written and how to mend it; undefined when it is right. */
export function quietWindowProblem(window: unknown): string | undefined {
  if (!isRecord(window)) return 'A quiet window is an object. Write {from: "22:00", to: "07:00"}.'
  return (
    clockTimeProblem('from', window.from) ?? clockTimeProblem('to', window.to) ?? daysProblem(window.days)
  )
}
