import { startSimulators } from '@carillon/simulators'
import { type Address, createRegistry, type Message, type Outgoing, type Verdict } from '../src/index.js'

/** No answer takes that long, however busy the machine is. */
export const PATIENT = { connectMs: 60_000, requestMs: 60_000, batchMs: 120_000 }
/** For tests that wait until it is over. */
export const HASTY = { connectMs: 5000, requestMs: 3000, batchMs: 30_000 }
/** Where nobody listens: a port below those that are handed out. */
export const NOBODY = { host: '127.0.0.1', port: 1 }

/** Simulators and senders that reach them; disposed together, senders first. */
export async function openWorld(timeouts = PATIENT) {
  const simulators = await startSimulators({ allow: 'development' })
  const settings = { ...simulators.settingsForChannels, timeouts }
  const registry = createRegistry({ settings })
  return {
    simulators,
    settings,
    registry,
    /** What one device got. */
    shownTo: (to: string) => simulators.inbox.list().filter((message) => message.to === to),
    async close() {
      await registry[Symbol.asyncDispose]()
      await simulators[Symbol.asyncDispose]()
    },
  }
}

/** Resolves once the condition holds; looks again every other millisecond. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('the condition never came true')
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** That many of what is made. */
export function times<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index))
}

/** How many verdicts there are of each kind. */
export function kinds(verdicts: readonly Verdict[]): Partial<Record<Verdict['kind'], number>> {
  const counts: Partial<Record<Verdict['kind'], number>> = {}
  for (const { kind } of verdicts) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}

/** A signal that nobody aborts. */
export const never = (): AbortSignal => new AbortController().signal

let counter = 0

/** One attempt to an address, with ids of its own. */
export function outgoing(address: Address, message: Partial<Message> = {}): Outgoing {
  const tail = String(++counter).padStart(12, '0')
  return {
    deliveryId: `0198c0de-0000-8000-8000-${tail}`,
    notificationId: `0198c0de-1111-8000-8000-${tail}`,
    tenant: 'acme',
    attempt: 1,
    address,
    message: { title: 'Your ride', body: 'Ana is two minutes away', priority: 'high', ...message },
    receiptToken: `rt-${tail}`,
  }
}

/** Kind and reason of each verdict, for comparing. */
export function words(verdicts: readonly Verdict[]): string[] {
  return verdicts.map((verdict) => ('reason' in verdict ? `${verdict.kind} ${verdict.reason}` : verdict.kind))
}
