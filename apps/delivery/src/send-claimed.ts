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

/** So many verdicts are waited for together: a worker that dies repeats what it had not written down. */
const SLICE = 20

/**
 * Sends a claimed batch, all accounts side by side, and tells one verdict per delivery as they come in: a provider that
 * lets one message hang keeps nobody else's verdict from being written. Dead addresses are told last, when it is known how
 * many there are. Throws only when slots can't be booked, and then nothing was sent.
 */
export async function sendClaimed(
  deliveries: readonly ClaimedDelivery[],
  deps: SendDeps,
  tell: (judged: readonly Judged[]) => void,
  signal: AbortSignal,
): Promise<void> {
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
  if (judged.length > 0) tell(judged)
  await Promise.all([...groups.values()].map((group) => sendGroup(group, deps, tell, signal)))
}

/** Sends what goes through one account. */
async function sendGroup(
  group: readonly Placed[],
  { circuits, nowMs }: SendDeps,
  tell: (judged: readonly Judged[]) => void,
  signal: AbortSignal,
): Promise<void> {
  const { account } = group[0] as Placed
  const dead: Judged[] = []
  const verdicts: Verdict[] = []
  const slices: Placed[][] = []
  for (let first = 0; first < group.length; first += SLICE) slices.push(group.slice(first, first + SLICE))
  await Promise.all(
    slices.map(async (slice) => {
      const given = await account.sender.send(
        slice.map(({ outgoing }) => outgoing),
        signal,
      )
      const notBeforeMs = circuits.openUntil(account.id, nowMs)
      const told: Judged[] = []
      slice.forEach((departure, index) => {
        const verdict = storable(given[index] ?? { kind: 'unknown', reason: 'the sender gave no verdict' })
        verdicts.push(verdict)
        const judged = answered(departure, verdict, notBeforeMs)
        if (verdict.kind === 'address') dead.push(judged)
        else told.push(judged)
      })
      if (told.length > 0) tell(told)
    }),
  )
  circuits.note(account.id, verdicts, nowMs)
  if (dead.length > 0) tell(dead)
}

/** Servers that tenants name may say what no text column takes, and one row would keep its whole batch from being closed. */
function storable(verdict: Verdict): Verdict {
  if (verdict.kind !== 'accepted') return { ...verdict, reason: withoutNul(verdict.reason) }
  const { providerId } = verdict
  return providerId === undefined ? verdict : { ...verdict, providerId: withoutNul(providerId) }
}

function withoutNul(text: string): string {
  return text.replaceAll('\0', '\uFFFD')
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
