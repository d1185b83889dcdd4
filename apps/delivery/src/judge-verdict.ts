import type { Reason } from '@carillon/contracts'
import type { ClaimedDelivery, ClosedAttempt } from '@carillon/postgres'
import type { AttemptVerdict } from './send-claimed.js'

/** Who was asked, and who else can be. */
export interface Asked {
  provider: string | null
  account: string | null
  /** Accounts that may still be asked once this one has used its attempts up. */
  accountsLeft: number
}

/** How retries are spaced. `random` gives 0 ≤ x < 1. */
export interface RetryRules {
  nowMs: number
  baseMs: number
  /** Earliest moment at which the provider may be asked again: its hold or its open circuit. */
  notBeforeMs: number
  random: () => number
}

const LONGEST_MS = 15 * 60 * 1000

type Judgeable = Pick<
  ClaimedDelivery,
  'runId' | 'id' | 'attempt' | 'maxAttempts' | 'attemptsEach' | 'expiresAt'
>

/**
 * What a verdict means for one delivery. Pure.
 *
 * A retry waits `afterMs` when the provider says so, else a full-jittered exponential back-off; one that would come
 * after `expires` ends the delivery instead. After an account's last attempt the next account is asked at once, with
 * as many attempts; after the last account the delivery has failed. `config` and `paced` don't count as attempts:
 * nothing is wrong with the message or its address.
 */
export function judgeVerdict(
  delivery: Judgeable,
  verdict: AttemptVerdict,
  asked: Asked,
  rules: RetryRules,
): ClosedAttempt {
  const base: Base = {
    runId: delivery.runId,
    id: delivery.id,
    attempt: delivery.attempt,
    detail: verdict.kind === 'accepted' ? null : verdict.reason,
    dueAtMs: null,
    provider: asked.provider,
    account: asked.account,
    providerId: null,
    verdict: verdict.kind,
    extraAttempts: 0,
    uncounted: false,
    givesUpAccount: false,
    pacedAtMs: null,
  }
  switch (verdict.kind) {
    case 'accepted':
      return { ...base, status: 'sent', reason: null, providerId: verdict.providerId ?? null }
    case 'address':
      return { ...base, status: 'failed', reason: 'ADDRESS_INVALID' }
    case 'message':
      return verdict.reason === 'EXPIRED'
        ? { ...base, status: 'expired', reason: 'EXPIRED' }
        : { ...base, status: 'failed', reason: 'PAYLOAD_INVALID' }
    case 'config':
      return again(delivery, withoutCount(base, asked), 'CONFIGURATION', {
        dueAtMs: Math.max(rules.nowMs, rules.notBeforeMs),
      })
    case 'paced':
      return again(delivery, { ...base, uncounted: true, pacedAtMs: verdict.atMs }, 'THROTTLED', {
        dueAtMs: verdict.atMs,
      })
    case 'retry':
    case 'unknown': {
      if (delivery.attempt >= delivery.maxAttempts) return nextAccount(delivery, base, asked, rules)
      const delayMs = Math.max(
        verdict.kind === 'retry' ? (verdict.afterMs ?? 0) : 0,
        rules.random() * Math.min(LONGEST_MS, rules.baseMs * 2 ** (attemptOfAccount(delivery) - 1)) +
          rules.baseMs / 4,
      )
      return again(delivery, base, 'PROVIDER_UNAVAILABLE', {
        dueAtMs: Math.max(rules.nowMs + delayMs, rules.notBeforeMs),
      })
    }
  }
}

/** Who was asked and refused our credentials stands in the history, and leaves room for one more. */
function withoutCount(base: Base, { account }: Asked): Base {
  return account === null ? { ...base, uncounted: true } : { ...base, extraAttempts: 1 }
}

type Base = Omit<ClosedAttempt, 'status' | 'reason'>

/** Which of the account's own attempts this was, from 1, so that the next account doesn't begin with the last pause. */
function attemptOfAccount({ attempt, maxAttempts, attemptsEach }: Judgeable): number {
  return Math.max(1, attempt - (maxAttempts - attemptsEach))
}

function nextAccount(delivery: Judgeable, base: Base, asked: Asked, rules: RetryRules): ClosedAttempt {
  if (asked.accountsLeft === 0 || asked.account === null) {
    return { ...base, status: 'failed', reason: 'PROVIDER_UNAVAILABLE' }
  }
  return again(
    delivery,
    { ...base, givesUpAccount: true, extraAttempts: delivery.attemptsEach },
    'PROVIDER_UNAVAILABLE',
    { dueAtMs: rules.nowMs },
  )
}

function again(
  delivery: Judgeable,
  base: Base,
  reason: Reason,
  { dueAtMs }: { dueAtMs: number },
): ClosedAttempt {
  if (delivery.expiresAt !== null && dueAtMs >= delivery.expiresAt.getTime()) {
    const detail = `${base.detail}; the next attempt would come after it expires`
    return {
      ...base,
      status: 'expired',
      reason: 'EXPIRED',
      detail,
      extraAttempts: 0,
      uncounted: false,
      pacedAtMs: null,
    }
  }
  return { ...base, status: 'retrying', reason, dueAtMs }
}
