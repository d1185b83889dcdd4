import type { Outgoing } from '@carillon/channels'
import type { ClaimedDelivery, PaceBooking } from '@carillon/postgres'
import type { ReadyAccount } from './accounts.js'

/** One delivery that is about to go out through an account. */
export interface Departure {
  delivery: ClaimedDelivery
  outgoing: Outgoing
  account: ReadyAccount
}

/** Books slots in all processes' order and gives the first of each booking, milliseconds. */
export type BookPaces = (bookings: readonly PaceBooking[]) => Promise<number[]>

interface Pace {
  key: string
  perSecond: number
  burst: number
}

/** What the provider says of a whole account when its settings say nothing. */
const DEFAULT_PER_SECOND: Readonly<Record<string, number>> = {
  // 600,000 messages a minute and project: https://firebase.google.com/docs/cloud-messaging/scale-fcm
  fcm: 10_000,
}
/** A slot that is no further away than this is used at once. */
const EARLY_MS = 1_000
/** How long a slot that was missed still counts; after that everybody would come at once. */
const LATE_MS = 30_000

/**
 * The moment at which each departure may leave, milliseconds, in their order: 0 when at once. The lane `high` takes its
 * slots like the others but never waits for them, and neither does what comes back for a slot that it booked before.
 */
export async function bookDepartures(
  departures: readonly Departure[],
  deps: { book: BookPaces; nowMs: number },
): Promise<number[]> {
  const { nowMs } = deps
  const paced = departures.map(({ delivery, outgoing, account }) =>
    isOnTime(delivery, nowMs) ? [] : pacesOf(account, outgoing),
  )
  const bookings = new Map<string, PaceBooking>()
  for (const pace of paced.flat()) {
    const booking = bookings.get(pace.key)
    if (booking === undefined) bookings.set(pace.key, { ...pace, count: 1 })
    else booking.count++
  }
  if (bookings.size === 0) return departures.map(() => 0)
  const wanted = [...bookings.values()]
  const firsts = await deps.book(wanted)
  const next = new Map(wanted.map(({ key }, place) => [key, firsts[place] ?? 0]))
  return departures.map(({ delivery }, place) => {
    let slotMs = 0
    for (const { key, perSecond } of paced[place] ?? []) {
      const at = next.get(key) ?? 0
      next.set(key, at + 1000 / perSecond)
      slotMs = Math.max(slotMs, at)
    }
    return delivery.lane === 'high' || slotMs <= nowMs + EARLY_MS ? 0 : Math.round(slotMs)
  })
}

function isOnTime({ pacedAt }: ClaimedDelivery, nowMs: number): boolean {
  return pacedAt !== null && Math.abs(pacedAt.getTime() - nowMs) <= LATE_MS
}

/** The quotas that one message counts against: its account's, and its mail domain's or push service's. */
function pacesOf({ quota, provider, settings }: ReadyAccount, { address }: Outgoing): Pace[] {
  const paces: Pace[] = []
  const perSecond = rateOf(settings.perSecond) ?? DEFAULT_PER_SECOND[provider]
  if (perSecond !== undefined) {
    paces.push({ key: quota, perSecond, burst: rateOf(settings.burst) ?? perSecond })
  }
  if (address.kind === 'email') {
    const domain = address.email.slice(address.email.lastIndexOf('@') + 1).toLowerCase()
    const rate = domainRate(settings.domains, domain)
    if (rate !== undefined) paces.push({ key: `${quota} ${domain}`, perSecond: rate, burst: rate })
  }
  if (address.kind === 'webpush') {
    const rate = rateOf(settings.originPerSecond)
    if (rate !== undefined) {
      paces.push({ key: `${quota} ${new URL(address.endpoint).host}`, perSecond: rate, burst: rate })
    }
  }
  return paces
}

/** `{"gmail.com": 20, "*": 50}`: the domain's own pace, else everybody's. */
function domainRate(domains: unknown, domain: string): number | undefined {
  if (typeof domains !== 'object' || domains === null) return undefined
  const rates = domains as Record<string, unknown>
  return rateOf(Object.hasOwn(rates, domain) ? rates[domain] : rates['*'])
}

function rateOf(value: unknown): number | undefined {
  return typeof value === 'number' && value > 0 ? value : undefined
}
