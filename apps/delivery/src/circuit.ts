import type { Verdict } from '@carillon/channels'

/** Trouble with one provider account, remembered by this worker alone: circuits and the guard against mass death. */
export interface Circuits {
  /** Nothing should be tried through the account before this moment; 0 when it is fine. */
  openUntil(account: string, nowMs: number): number
  /** Takes the verdicts of one batch into account. */
  note(account: string, verdicts: readonly Verdict[], nowMs: number): void
  /**
   * True when so many addresses of one app die within a minute that the credentials are the likelier cause: then nothing
   * is deleted.
   */
  isMassDeath(account: string, nowMs: number): boolean
}

/** So many batches in a row without a single answer open the circuit. */
const FAILURES_TO_OPEN = 5
const OPEN_MS = 5_000
const LONGEST_OPEN_MS = 60_000
const MINUTE_MS = 60_000
const MASS_AT_LEAST = 20
const MASS_SHARE = 0.5

interface Account {
  failures: number
  openUntilMs: number
  minuteStartMs: number
  asked: number
  dead: number
}

export function createCircuits(): Circuits {
  const accounts = new Map<string, Account>()
  const of = (name: string): Account => {
    const known = accounts.get(name)
    if (known !== undefined) return known
    const made = { failures: 0, openUntilMs: 0, minuteStartMs: 0, asked: 0, dead: 0 }
    accounts.set(name, made)
    return made
  }
  return {
    openUntil: (name, nowMs) => {
      const until = of(name).openUntilMs
      return until > nowMs ? until : 0
    },
    note(name, verdicts, nowMs) {
      const account = of(name)
      if (nowMs - account.minuteStartMs > MINUTE_MS)
        Object.assign(account, { minuteStartMs: nowMs, asked: 0, dead: 0 })
      account.asked += verdicts.length
      account.dead += verdicts.filter((verdict) => verdict.kind === 'address').length
      const unanswered = verdicts.every((verdict) => verdict.kind === 'retry' || verdict.kind === 'unknown')
      account.failures = unanswered ? account.failures + 1 : 0
      if (account.failures < FAILURES_TO_OPEN) {
        account.openUntilMs = 0
        return
      }
      const opened = OPEN_MS * 2 ** (account.failures - FAILURES_TO_OPEN)
      account.openUntilMs = nowMs + Math.min(LONGEST_OPEN_MS, opened)
    },
    isMassDeath(name, nowMs) {
      const account = of(name)
      if (nowMs - account.minuteStartMs > MINUTE_MS) return false
      return account.asked >= MASS_AT_LEAST && account.dead / account.asked >= MASS_SHARE
    },
  }
}
