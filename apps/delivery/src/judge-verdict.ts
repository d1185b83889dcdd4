import type { Verdict } from '@carillon/channels'
import type { Reason } from '@carillon/contracts'
import type { ClaimedDelivery, ClosedAttempt } from '@carillon/postgres'

/** How retries are spaced. `random` gives 0 ≤ x < 1. */
export interface RetryRules {
  nowMs: number
  baseMs: number
  /** Earliest moment at which the provider may be asked again: its hold or its open circuit. */
  notBeforeMs: number
  random: () => number
}

const LONGEST_MS = 15 * 60 * 1000

/**
 * What a verdict means for one delivery. Pure.
 *
 * A retry waits `afterMs` when the provider says so, else a full-jittered exponential back-off; one that would come
 * after the last attempt or after `expires` ends the delivery instead. `config` doesn't count as an attempt: nothing is
 * wrong with the message or its address.
 */
export function judgeVerdict(
  delivery: Pick<ClaimedDelivery, 'runId' | 'id' | 'attempt' | 'maxAttempts' | 'expiresAt'>,
  verdict: Verdict,
  provider: string | null,
  rules: RetryRules,
): ClosedAttempt {
  const base = {
    runId: delivery.runId,
    id: delivery.id,
    attempt: delivery.attempt,
    detail: verdict.kind === 'accepted' ? null : verdict.reason,
    dueAtMs: null,
    provider,
    providerId: null,
    verdict: verdict.kind,
    extraAttempts: 0,
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
      return again(delivery, base, { ...rules, reason: 'CONFIGURATION', delayMs: 0, counts: false })
    case 'retry':
    case 'unknown': {
      const delayMs = Math.max(
        verdict.kind === 'retry' ? (verdict.afterMs ?? 0) : 0,
        rules.random() * Math.min(LONGEST_MS, rules.baseMs * 2 ** (delivery.attempt - 1)) + rules.baseMs / 4,
      )
      return again(delivery, base, { ...rules, reason: 'PROVIDER_UNAVAILABLE', delayMs, counts: true })
    }
  }
}

function again(
  delivery: Pick<ClaimedDelivery, 'attempt' | 'maxAttempts' | 'expiresAt'>,
  base: Omit<ClosedAttempt, 'status' | 'reason'>,
  rules: RetryRules & { reason: Reason; delayMs: number; counts: boolean },
): ClosedAttempt {
  if (rules.counts && delivery.attempt >= delivery.maxAttempts)
    return { ...base, status: 'failed', reason: rules.reason }
  const dueAtMs = Math.max(rules.nowMs + rules.delayMs, rules.notBeforeMs)
  if (delivery.expiresAt !== null && dueAtMs >= delivery.expiresAt.getTime()) {
    return {
      ...base,
      status: 'expired',
      reason: 'EXPIRED',
      detail: `${base.detail}; the next attempt would come after it expires`,
    }
  }
  return { ...base, status: 'retrying', reason: rules.reason, dueAtMs, extraAttempts: rules.counts ? 0 : 1 }
}
