import { type Provider, providerOf, type Verdict } from '@carillon/channels'
import type { ClaimedDelivery } from '@carillon/postgres'
import type { Accounts, ReadyAccount } from './accounts.js'
import { chooseAccount } from './choose-account.js'
import type { Circuits } from './circuit.js'
import { toOutgoing, withStatusUrl } from './outgoing.js'
import { type BookPaces, bookDepartures, type Departure } from './pacing.js'

/** What came of an attempt: the sender's verdict, or that the account's pace booked a later moment for it. */
export type AttemptVerdict = Verdict | { kind: 'paced'; reason: string; atMs: number }

/** The verdict of one claimed delivery, and the account that gave it. */
export interface Judged {
  delivery: ClaimedDelivery
  verdict: AttemptVerdict
  provider: Provider | null
  account: Pick<ReadyAccount, 'id' | 'updatedAt'> | null
  /** Accounts that may still be asked after this one has used its attempts up. */
  accountsLeft: number
  /** Earliest moment for another attempt, milliseconds; 0 when the account is fine. */
  notBeforeMs: number
}

export interface SendDeps {
  accounts: Accounts
  circuits: Circuits
  book: BookPaces
  receiptKey: Buffer
  publicUrl: string | undefined
  nowMs: number
}

interface Placed extends Departure {
  left: number
}

/**
 * Sends a claimed batch, all accounts side by side, and gives one verdict per delivery. Throws only when slots can't be
 * booked, and then nothing was sent.
 */
export async function sendClaimed(
  deliveries: readonly ClaimedDelivery[],
  deps: SendDeps,
  signal: AbortSignal,
): Promise<Judged[]> {
  const { judged, placed } = place(deliveries, deps)
  const slots = await bookDepartures(placed, deps)
  const groups = new Map<string, Placed[]>()
  placed.forEach((departure, index) => {
    const atMs = slots[index] ?? 0
    if (atMs > 0) {
      const reason = `the account's pace books it for ${new Date(atMs).toISOString()}`
      judged.push(answered(departure, { kind: 'paced', reason, atMs }, 0))
      return
    }
    const group = groups.get(departure.account.id) ?? []
    groups.set(departure.account.id, group)
    group.push(departure)
  })
  await Promise.all(
    [...groups.values()].map(async (group) => {
      const { account } = group[0] as Placed
      const verdicts = await account.sender.send(
        group.map(({ outgoing }) => outgoing),
        signal,
      )
      deps.circuits.note(account.id, verdicts, deps.nowMs)
      const notBeforeMs = deps.circuits.openUntil(account.id, deps.nowMs)
      group.forEach((departure, index) => {
        const verdict = verdicts[index] ?? { kind: 'unknown', reason: 'the sender gave no verdict' }
        judged.push(answered(departure, verdict, notBeforeMs))
      })
    }),
  )
  return judged
}

/** Finds the message, the address and the account of each delivery; what lacks one is judged at once. */
function place(
  deliveries: readonly ClaimedDelivery[],
  deps: SendDeps,
): { judged: Judged[]; placed: Placed[] } {
  const judged: Judged[] = []
  const placed: Placed[] = []
  const { receiptKey, publicUrl, nowMs } = deps
  for (const delivery of deliveries) {
    const secrets = delivery.channel === 'webhook' ? deps.accounts.webhookSecrets(delivery.tenant) : []
    const outgoing = toOutgoing(delivery, { receiptKey, publicUrl, secrets, nowMs })
    if ('reason' in outgoing) {
      judged.push(unasked(delivery, { kind: 'address', reason: outgoing.reason }))
      continue
    }
    const { kind } = outgoing.address
    const choice = chooseAccount(
      deps.accounts.of(delivery.tenant, kind, delivery.device?.app),
      delivery.tried,
      { circuits: deps.circuits, nowMs, wanted: providerOf(kind) },
    )
    if (choice.kind === 'wait') {
      const waiting = unasked(delivery, { kind: 'config', reason: choice.reason })
      judged.push({ ...waiting, provider: choice.provider, notBeforeMs: choice.notBeforeMs })
      continue
    }
    const { account, left } = choice
    placed.push({
      delivery,
      outgoing: withStatusUrl(outgoing, { publicUrl, account: account.id }),
      account,
      left,
    })
  }
  return { judged, placed }
}

function answered({ delivery, account, left }: Placed, verdict: AttemptVerdict, notBeforeMs: number): Judged {
  return { delivery, verdict, provider: account.provider, account, accountsLeft: left, notBeforeMs }
}

function unasked(delivery: ClaimedDelivery, verdict: Verdict): Judged {
  return { delivery, verdict, provider: null, account: null, accountsLeft: 0, notBeforeMs: 0 }
}
