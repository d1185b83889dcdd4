import { ChannelError, verifyReceiptToken } from '@carillon/channels'
import { type Channel, type Receipt, receiptSubject, STREAMS } from '@carillon/contracts'
import { deliveryOwners } from '@carillon/postgres'
import { HttpProblem } from '@carillon/service'
import type { Static } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import type { Principal } from '../principal.js'
import { answers, type Edge } from '../route.js'
import { ReceiptsAnswer, ReceiptsSchema } from '../schemas/inbox.js'

type Item = Static<typeof ReceiptsSchema>['receipts'][number]

interface Claimed {
  index: number
  item: Item
  tenant: string
  runId: string
  deliveryId: string
}

interface Rejection {
  index: number
  code: string
  detail: string
}

/** What devices say became of a message. Repeating a receipt changes nothing. */
export function addReceiptRoutes(app: Edge, deps: EdgeDeps): void {
  app.post(
    '/receipts',
    {
      schema: {
        summary: 'Acknowledge messages',
        tags: ['receipts'],
        body: ReceiptsSchema,
        response: answers({ 202: ReceiptsAnswer }),
      },
    },
    async (request, reply) => {
      const rejected: Rejection[] = []
      const claimed: Claimed[] = []
      request.body.receipts.forEach((item, index) => {
        const claim = claimOf(deps, request.principal, item, index)
        if ('code' in claim) rejected.push(claim)
        else claimed.push(claim)
      })
      const receipts = await withOwners(deps, claimed, rejected)
      if (receipts.length === 0) {
        const unsigned = rejected.every((one) => one.code === 'RECEIPT_TOKEN_INVALID')
        throw new HttpProblem(
          unsigned ? 401 : 404,
          rejected[0]?.code ?? 'NOT_FOUND',
          rejected[0]?.detail ?? 'There is no such delivery.',
          {
            field: 'receipts',
            errors: rejected.map(({ index, detail }) => ({ field: `receipts.${index}`, detail })),
          },
        )
      }
      const outcomes = await deps.publisher.publishAll(
        STREAMS.receipts,
        receipts.map(({ tenant, receipt }) => ({
          subject: receiptSubject(receipt.channel, receipt.status, tenant),
          body: JSON.stringify(receipt),
        })),
      )
      // all of it comes again: a receipt that was stored already changes nothing
      for (const outcome of outcomes) if (!outcome.ok) throw outcome.error
      deps.events.accepted('receipt', receipts.length)
      rejected.sort((a, b) => a.index - b.index)
      return reply.code(202).send({ accepted: receipts.length, rejected })
    },
  )
}

/** Who says so: the item's token, or the key for a delivery of its own tenant. */
function claimOf(
  deps: EdgeDeps,
  principal: Principal | undefined,
  item: Item,
  index: number,
): Claimed | Rejection {
  if (item.token !== undefined) {
    try {
      const { tenant, notificationId, deliveryId } = verifyReceiptToken(
        deps.receiptKey,
        item.token,
        deps.now(),
      )
      return { index, item, tenant, runId: notificationId, deliveryId }
    } catch (error) {
      if (error instanceof ChannelError) return { index, code: error.code, detail: error.message }
      throw error
    }
  }
  if (principal?.kind !== 'key') {
    return { index, code: 'RECEIPT_TOKEN_INVALID', detail: 'The receipt token is missing.' }
  }
  if (item.notificationId === undefined || item.deliveryId === undefined) {
    return { index, code: 'VALIDATION', detail: 'Name notificationId and deliveryId, or send the token.' }
  }
  return {
    index,
    item,
    tenant: principal.tenant,
    runId: item.notificationId,
    deliveryId: item.deliveryId,
  }
}

async function withOwners(
  deps: EdgeDeps,
  claimed: readonly Claimed[],
  rejected: Rejection[],
): Promise<{ tenant: string; receipt: Receipt }[]> {
  const receipts: { tenant: string; receipt: Receipt }[] = []
  for (const tenant of new Set(claimed.map((claim) => claim.tenant))) {
    const own = claimed.filter((claim) => claim.tenant === tenant)
    const deliveries = own.map((claim) => ({ runId: claim.runId, id: claim.deliveryId }))
    const rows = await deps.database.inTenant(tenant, (tx) => deliveryOwners(tx, { tenant, deliveries }), {
      readOnly: true,
    })
    const owners = new Map(rows.map((row) => [row.id, row]))
    for (const { index, item, runId, deliveryId } of own) {
      const owner = owners.get(deliveryId)
      if (owner === undefined || owner.runId !== runId) {
        rejected.push({ index, code: 'NOT_FOUND', detail: 'There is no such delivery.' })
        continue
      }
      // a device's clock may be ahead; nothing has happened in the future
      const at = Math.min(item.at === undefined ? deps.now() : Date.parse(item.at), deps.now())
      receipts.push({
        tenant,
        receipt: {
          deliveryId,
          runId,
          userId: owner.userId,
          channel: owner.channel as Channel,
          status: item.status,
          at,
          by: 'device',
          ...(item.action === undefined ? {} : { detail: item.action }),
        },
      })
    }
  }
  return receipts
}
