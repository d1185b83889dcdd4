import {
  type DeadLetterFilter,
  type DeadLetterPlace,
  type DeliveryKey,
  deadLettersInOrder,
  MOST_REDRIVEN,
  type Redriven,
  redriveDeadLetters,
} from '@carillon/postgres'
import type { EdgeDeps } from './edge-deps.js'
import type { Principal } from './principal.js'

/** What is to be sent off again. */
export interface RedriveOrder {
  principal: Principal
  correlationId: string
  which:
    | { keys: readonly DeliveryKey[] }
    | { filter: DeadLetterFilter; after: DeadLetterPlace | undefined; limit: number }
  evenUnknown: boolean
  dryRun: boolean
  /** What the trail says of what was asked for. */
  asked: Record<string, string | number | boolean>
}

export interface RedriveResult {
  letters: Redriven[]
  /** Where to go on; undefined when all were looked at. */
  next: DeadLetterPlace | undefined
}

/**
 * Sends dead letters off again, at most 1000 a transaction, each with its fact in the trail. What breaks off half-way has
 * sent what it had committed; the same again sends the rest.
 */
export async function redrive(order: RedriveOrder, deps: EdgeDeps): Promise<RedriveResult> {
  const { which } = order
  if ('keys' in which) {
    return { letters: await redriveBatch(order, async () => which.keys, deps), next: undefined }
  }
  const letters: Redriven[] = []
  let { after } = which
  for (;;) {
    const left = which.limit - letters.length
    if (left <= 0) return { letters, next: after }
    const limit = Math.min(left, MOST_REDRIVEN)
    let page: (DeliveryKey & DeadLetterPlace)[] = []
    const batch = await redriveBatch(
      order,
      async (tx) => {
        page = await deadLettersInOrder(tx, {
          tenant: order.principal.tenant,
          filter: which.filter,
          after,
          limit,
        })
        return page
      },
      deps,
    )
    letters.push(...batch)
    after = page.at(-1) ?? after
    if (page.length < limit) return { letters, next: undefined }
  }
}

function redriveBatch(
  order: RedriveOrder,
  find: (tx: Parameters<typeof deadLettersInOrder>[0]) => Promise<readonly DeliveryKey[]>,
  deps: EdgeDeps,
): Promise<Redriven[]> {
  const { principal, evenUnknown, dryRun, asked, correlationId } = order
  const { tenant } = principal
  return deps.outbox.change(tenant, async (tx, tell) => {
    const letters = await redriveDeadLetters(tx, { tenant, keys: await find(tx), evenUnknown, dryRun })
    const redriven = letters.filter(({ refused }) => refused === null).length
    if (redriven > 0 && !dryRun) {
      const details = { ...asked, redriven, refused: letters.length - redriven, evenUnknown }
      tell(
        deps.trail.fact(
          principal,
          { area: 'dead-letters', action: 'redriven', resource: 'deliveries', details },
          correlationId,
        ),
      )
    }
    return letters
  })
}
