import type { Provider } from '@carillon/channels'
import type { OpenAccount, ReadyAccount } from './accounts.js'
import type { Circuits } from './circuit.js'

/** Which account is asked next, and how many are left after it has used its attempts up; or why none may be asked now. */
export type Choice =
  | { kind: 'ask'; account: ReadyAccount; left: number }
  | { kind: 'wait'; provider: Provider | null; reason: string; notBeforeMs: number }

/** How soon a tenant without usable credentials is looked at again. */
const MISSING_LOOK_MS = 30_000

/**
 * The first account, in their order, that is ready and has not used its attempts up. One that is held or whose circuit
 * is open is passed over for now, not given up on. Pure but for the circuits it reads.
 */
export function chooseAccount(
  accounts: readonly OpenAccount[],
  tried: readonly string[],
  deps: { circuits: Circuits; nowMs: number; wanted: Provider },
): Choice {
  const open = accounts.filter(({ id }) => !tried.includes(id))
  // accounts that were put or taken away meanwhile: better the same again than none
  const candidates = open.length > 0 ? open : accounts
  let soonest: Extract<Choice, { kind: 'wait' }> | undefined
  for (const account of candidates) {
    const wait = waitOf(account, deps)
    if (wait === undefined) {
      return { kind: 'ask', account: account as ReadyAccount, left: Math.max(0, open.length - 1) }
    }
    if (soonest === undefined || wait.notBeforeMs < soonest.notBeforeMs) soonest = wait
  }
  return (
    soonest ?? {
      kind: 'wait',
      provider: null,
      reason: `the tenant has no ${deps.wanted} credentials`,
      notBeforeMs: deps.nowMs + MISSING_LOOK_MS,
    }
  )
}

function waitOf(
  account: OpenAccount,
  { circuits, nowMs }: { circuits: Circuits; nowMs: number },
): Extract<Choice, { kind: 'wait' }> | undefined {
  const { provider } = account
  if (account.kind === 'held') {
    return { kind: 'wait', provider, reason: account.reason, notBeforeMs: account.untilMs }
  }
  if (account.kind === 'broken') {
    return { kind: 'wait', provider, reason: account.reason, notBeforeMs: nowMs + MISSING_LOOK_MS }
  }
  const openUntil = circuits.openUntil(account.id, nowMs)
  if (openUntil === 0) return undefined
  return {
    kind: 'wait',
    provider,
    reason: `${provider} is not answering; the circuit is open`,
    notBeforeMs: openUntil,
  }
}
