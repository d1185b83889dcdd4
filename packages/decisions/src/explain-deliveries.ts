import type { DeliveryStatus, Reason } from '@carillon/contracts'
import type { ExplainedReason } from './explain.js'
import { iso } from './explain-words.js'

export interface ExplainedDelivery {
  id: string
  /** It takes the notification off a screen, since it was read elsewhere. */
  clears?: boolean
  channel: string
  step: number
  /** Shown to people: the app and kind of a device, or a mailbox. */
  address: string
  status: DeliveryStatus
  reason?: Reason | null
  detail?: string | null
  attempts: readonly {
    number: number
    provider: string | null
    verdict: string | null
    reason?: string | null
    at: number
  }[]
  receipts: readonly { status: string; at: number; by?: string }[]
  nextAttemptAt?: number | null
  /** Attempts that may have rung without anybody knowing. */
  unknowns?: number
  /** How often it was sent off again after it had failed, and when last. */
  replays?: number
  replayedAt?: number | null
}

/** What became of one delivery: its attempts, what was reported back, and where it stands. */
export function explainDelivery(delivery: ExplainedDelivery, plannedAt: number): ExplainedReason[] {
  const name = `${delivery.clears ? 'clearing' : `${delivery.channel} to`} ${delivery.address}`
  const story: ExplainedReason[] = delivery.attempts.map((attempt) => ({
    at: attempt.at,
    what: `${name}: attempt ${attempt.number}${attempt.provider === null ? '' : ` through ${attempt.provider}`}`,
    why:
      attempt.verdict === null
        ? 'no answer is known'
        : `${attempt.verdict}${attempt.reason ? ` (${attempt.reason})` : ''}`,
  }))
  for (const receipt of delivery.receipts) {
    if (receipt.status !== 'accepted')
      story.push({ at: receipt.at, what: `${name}: ${receipt.status}`, why: tellerOf(receipt) })
  }
  if (delivery.replayedAt) {
    const times = delivery.replays ?? 1
    const why =
      times > 1 ? `it had failed; ${times} times by now` : 'it had failed, and somebody wanted it sent'
    story.push({ at: delivery.replayedAt, what: `${name}: sent again on ${iso(delivery.replayedAt)}`, why })
  }
  const last = story.reduce((latest, entry) => Math.max(latest, entry.at), plannedAt)
  const why = [
    doubtOf(delivery),
    delivery.reason ?? undefined,
    delivery.detail ?? undefined,
    delivery.nextAttemptAt ? `next attempt at ${iso(delivery.nextAttemptAt)}` : undefined,
  ].filter((part) => part !== undefined)
  story.push({
    at: last,
    what: `${name} is ${delivery.status}`,
    why: why.length === 0 ? 'nothing stands against it' : why.join(', '),
    ...(delivery.reason == null ? {} : { reason: delivery.reason }),
  })
  return story
}

/** A worker ends what it can't bring; everything else was told by a device, a network or a mail server. */
function tellerOf({ status, by }: ExplainedDelivery['receipts'][number]): string {
  if (by !== 'worker') return 'it was reported back'
  return status === 'expired' ? 'its time was over' : 'nothing was left to try'
}

/** Whoever was asked and gave no answer may have brought it all the same. */
function doubtOf({ unknowns = 0, attempts }: ExplainedDelivery): string | undefined {
  if (unknowns === 0) return undefined
  const accepted = attempts.filter(({ verdict }) => verdict === 'accepted').length
  const many = unknowns === 1 ? '1 attempt' : `${unknowns} attempts`
  return `${many} of unknown outcome: it may have rung${unknowns + accepted > 1 ? ' more than once' : ' all the same'}`
}
