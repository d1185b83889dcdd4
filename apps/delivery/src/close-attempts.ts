import { setTimeout as sleep } from 'node:timers/promises'
import {
  type ClaimedDelivery,
  type ClosedAttempt,
  closeAttempts,
  type Database,
  DatabaseAway,
  forgetLiveActivities,
  holdProvider,
  retireDevices,
  suppress,
  whenThere,
} from '@carillon/postgres'
import type { Circuits } from './circuit.js'
import type { DeliveryEvents } from './events.js'
import { judgeVerdict } from './judge-verdict.js'
import type { Judged } from './send-claimed.js'

export interface ClosingDeps {
  database: Database
  circuits: Circuits
  events: DeliveryEvents
  leaseMs: number
  retryBaseMs: number
  holdMs: number
  now: () => number
  random: () => number
}

/** An attempt whose row was really closed by us. */
export interface Closed {
  delivery: ClaimedDelivery
  attempt: ClosedAttempt
}

/** Verdicts that come within this are written together. */
const GATHER_MS = 10
const CLOSE_AGAIN_MS = 100

/** Writes verdicts down while others are still awaited. */
export interface Closing {
  add(judged: readonly Judged[]): void
  /** Waits until all is written, and gives what was. Throws what kept one of them from being written. */
  end(): Promise<Closed[]>
}

/** What was sent is written down as long as the lease lasts: to give up sooner would ring everybody twice. */
export function startClosing(began: number, deps: ClosingDeps, signal: AbortSignal): Closing {
  const waiting: Judged[] = []
  const closed: Closed[] = []
  let gathering = false
  let written: Promise<void> = Promise.resolve()
  const write = async () => {
    await sleep(GATHER_MS)
    gathering = false
    closed.push(...(await closeWithinLease(waiting.splice(0), began, deps, signal)))
  }
  return {
    add(judged) {
      waiting.push(...judged)
      if (gathering) return
      gathering = true
      written = written.then(write)
      // end() throws it; until then nobody listens
      written.catch(() => undefined)
    },
    async end() {
      await written
      return closed
    },
  }
}

async function closeWithinLease(
  judged: readonly Judged[],
  began: number,
  deps: ClosingDeps,
  signal: AbortSignal,
): Promise<Closed[]> {
  for (;;) {
    try {
      return await whenThere(() => close(judged, deps))
    } catch (error) {
      const over = performance.now() - began > deps.leaseMs || signal.aborted
      if (!(error instanceof DatabaseAway) || over) throw error
      await sleep(CLOSE_AGAIN_MS)
    }
  }
}

async function close(answered: readonly Judged[], deps: ClosingDeps): Promise<Closed[]> {
  if (answered.length === 0) return []
  const nowMs = deps.now()
  const judged = guardAgainstMassDeath(answered, nowMs, deps)
  const held = await holdBroken(judged, nowMs, deps)
  const closed = judged.map((entry) => ({
    delivery: entry.delivery,
    attempt: judgeVerdict(
      entry.delivery,
      entry.verdict,
      { provider: entry.provider, account: entry.account?.id ?? null, accountsLeft: entry.accountsLeft },
      {
        nowMs,
        baseMs: deps.retryBaseMs,
        notBeforeMs: notBefore(entry, held),
        random: deps.random,
      },
    ),
  }))
  const written = await deps.database.inTransaction((tx) =>
    closeAttempts(
      tx,
      closed.map((entry) => entry.attempt),
    ),
  )
  await retireDead(judged, deps)
  return closed.filter((entry) => written.has(entry.delivery.id))
}

/** A held account is passed over when there is another one: then nobody waits for it. */
function notBefore(
  { account, accountsLeft, notBeforeMs, verdict }: Judged,
  held: Map<string, number>,
): number {
  if (account === null) return notBeforeMs
  if (accountsLeft > 0 && verdict.kind === 'config') return 0
  return Math.max(notBeforeMs, held.get(account.id) ?? 0)
}

/** When many addresses of one app die at once its credentials are held instead, and nothing is deleted. */
function guardAgainstMassDeath(judged: readonly Judged[], nowMs: number, deps: ClosingDeps): Judged[] {
  const suspected = new Set<string>()
  return judged.map((entry) => {
    const { verdict, account, provider, delivery } = entry
    if (verdict.kind !== 'address' || account === null) return entry
    if (!deps.circuits.isMassDeath(account.id, nowMs)) return entry
    if (!suspected.has(account.id)) deps.events.massDeath(provider ?? 'unknown', delivery.tenant)
    suspected.add(account.id)
    const reason = `too many addresses of this app die at once (${verdict.reason})`
    return { ...entry, verdict: { kind: 'config', reason } }
  })
}

/** Credentials that were refused are left alone for a while, and only they. */
async function holdBroken(
  judged: readonly Judged[],
  nowMs: number,
  deps: ClosingDeps,
): Promise<Map<string, number>> {
  const held = new Map<string, number>()
  for (const { verdict, account, provider, delivery } of judged) {
    if (verdict.kind !== 'config' || account === null || held.has(account.id)) continue
    const untilMs = nowMs + deps.holdMs
    held.set(account.id, untilMs)
    await holdProvider(deps.database, {
      tenant: delivery.tenant,
      id: account.id,
      updatedAt: account.updatedAt,
      untilMs,
      reason: verdict.reason,
    })
    deps.events.held(provider ?? 'unknown', delivery.tenant, verdict.reason, untilMs)
  }
  return held
}

/** Dead addresses are marked: devices unless they were registered after the provider's moment, mailboxes and numbers for good. */
async function retireDead(judged: readonly Judged[], deps: ClosingDeps): Promise<void> {
  const dead = judged.flatMap(({ verdict, delivery, account }) =>
    verdict.kind === 'address' && account !== null ? [{ verdict, delivery }] : [],
  )
  const activities = dead.flatMap(({ delivery: { tenant, address: deviceId, device } }) =>
    device?.activityToken == null ? [] : [{ tenant, deviceId, token: device.activityToken }],
  )
  const devices = dead.flatMap(({ verdict, delivery }) => {
    if (delivery.addressKind !== 'device' || delivery.device?.activityToken != null) return []
    const status = verdict.suspend === true ? ('suspended' as const) : ('gone' as const)
    const { tenant, address: id } = delivery
    // one that was registered after the claim has an address that nobody asked about
    const beforeMs = Math.min(verdict.at ?? Number.POSITIVE_INFINITY, delivery.claimedAt.getTime())
    return [{ tenant, id, status, reason: verdict.reason, beforeMs }]
  })
  // a full mailbox is emptied one day; what is refused for good isn't asked again
  const refused = dead.flatMap(({ verdict, delivery: { tenant, addressKind: kind, address } }) =>
    kind === 'device' || verdict.suspend === true
      ? []
      : [
          {
            tenant,
            kind,
            address,
            reason: verdict.stopped === true ? ('stopped' as const) : ('refused' as const),
            detail: verdict.reason,
          },
        ],
  )
  if (activities.length > 0) await forgetLiveActivities(deps.database, activities)
  if (devices.length > 0) deps.events.retired(await retireDevices(deps.database, devices))
  if (refused.length > 0) deps.events.suppressed(await suppress(deps.database, refused))
}
