import type { Outgoing, Provider, Verdict } from '@carillon/channels'
import type { ClaimedDelivery } from '@carillon/postgres'
import type { Accounts, OpenAccount } from './accounts.js'
import type { Circuits } from './circuit.js'
import { toOutgoing, withStatusUrl } from './outgoing.js'

/** The verdict of one claimed delivery, and the account that gave it. */
export interface Judged {
  delivery: ClaimedDelivery
  verdict: Verdict
  provider: Provider | null
  account: string | null
  /** Earliest moment for another attempt, milliseconds; 0 when the account is fine. */
  notBeforeMs: number
}

export interface SendDeps {
  accounts: Accounts
  circuits: Circuits
  receiptKey: Buffer
  publicUrl: string | undefined
  nowMs: number
}

/** Sends a claimed batch, all accounts side by side, and gives one verdict per delivery. Never throws. */
export async function sendClaimed(
  deliveries: readonly ClaimedDelivery[],
  deps: SendDeps,
  signal: AbortSignal,
): Promise<Judged[]> {
  const judged: Judged[] = []
  const groups = new Map<
    string,
    {
      account: Extract<OpenAccount, { kind: 'ready' }>
      items: { delivery: ClaimedDelivery; outgoing: Outgoing }[]
    }
  >()
  for (const delivery of deliveries) {
    const secrets = delivery.channel === 'webhook' ? deps.accounts.webhookSecrets(delivery.tenant) : []
    const outgoing = toOutgoing(delivery, {
      receiptKey: deps.receiptKey,
      publicUrl: deps.publicUrl,
      secrets,
      nowMs: deps.nowMs,
    })
    if ('reason' in outgoing) {
      judged.push(unsent(delivery, { kind: 'address', reason: outgoing.reason }))
      continue
    }
    const account = deps.accounts.for(delivery.tenant, outgoing.address.kind, delivery.device?.app)
    const refusal = refusalOf(account, deps)
    if (refusal !== undefined) {
      judged.push({ ...unsent(delivery, refusal.verdict), ...refusal })
      continue
    }
    const ready = account as Extract<OpenAccount, { kind: 'ready' }>
    const group = groups.get(ready.id) ?? { account: ready, items: [] }
    groups.set(ready.id, group)
    const { publicUrl } = deps
    group.items.push({ delivery, outgoing: withStatusUrl(outgoing, { publicUrl, account: ready.id }) })
  }
  await Promise.all(
    [...groups.values()].map(async ({ account, items }) => {
      const verdicts = await account.sender.send(
        items.map(({ outgoing }) => outgoing),
        signal,
      )
      deps.circuits.note(account.id, verdicts, deps.nowMs)
      const notBeforeMs = deps.circuits.openUntil(account.id, deps.nowMs)
      items.forEach(({ delivery }, place) => {
        const verdict = verdicts[place] ?? { kind: 'unknown', reason: 'the sender gave no verdict' }
        judged.push({ delivery, verdict, provider: account.provider, account: account.id, notBeforeMs })
      })
    }),
  )
  return judged
}

function unsent(delivery: ClaimedDelivery, verdict: Verdict): Judged {
  return { delivery, verdict, provider: null, account: null, notBeforeMs: 0 }
}

/** Why an account may not be asked now. Waiting for it doesn't count as an attempt. */
function refusalOf(
  account: OpenAccount,
  deps: SendDeps,
): { verdict: Verdict; provider: Provider | null; account: string | null; notBeforeMs: number } | undefined {
  if (account.kind === 'missing') {
    return {
      verdict: { kind: 'config', reason: account.reason },
      provider: null,
      account: null,
      notBeforeMs: deps.nowMs + MISSING_LOOK_MS,
    }
  }
  if (account.kind === 'held') {
    return {
      verdict: { kind: 'config', reason: account.reason },
      provider: account.provider,
      account: null,
      notBeforeMs: account.untilMs,
    }
  }
  const open = deps.circuits.openUntil(account.id, deps.nowMs)
  if (open === 0) return undefined
  return {
    verdict: { kind: 'config', reason: `${account.provider} is not answering; the circuit is open` },
    provider: account.provider,
    account: null,
    notBeforeMs: open,
  }
}

/** How soon a tenant without credentials is looked at again. */
const MISSING_LOOK_MS = 30_000
