import type { Receipt } from '@carillon/contracts'
import t from 'tap'
import { foldReceipts } from './fold.js'

const receipt = (status: Receipt['status'], at: number, more: Partial<Receipt> = {}): Receipt => ({
  deliveryId: 'd1',
  runId: 'r1',
  userId: 'u1',
  channel: 'push',
  by: 'device',
  status,
  at,
  ...more,
})

t.test('the furthest status and the first time of each engagement', async (t) => {
  const receipts = [
    receipt('clicked', 30),
    receipt('delivered', 10),
    receipt('opened', 20),
    receipt('accepted', 5),
  ]
  const folded = foldReceipts(receipts)
  t.match(folded.deliveries, [{ status: 'delivered', deliveredAtMs: 10, openedAtMs: 20, clickedAtMs: 30 }])
  t.same(folded.engaged, [{ runId: 'r1', seenAtMs: 20, readAtMs: 20 }])
  t.same(foldReceipts([...receipts].reverse()), folded, 'in any order')
})

t.test('dismissing is seeing, not reading', async (t) => {
  t.same(foldReceipts([receipt('dismissed', 7)]).engaged, [{ runId: 'r1', seenAtMs: 7, readAtMs: null }])
})

t.test('a bounce fails the delivery, unless a device showed it', async (t) => {
  t.match(foldReceipts([receipt('bounced', 1)]).deliveries, [{ status: 'failed', reason: 'ADDRESS_INVALID' }])
  t.match(foldReceipts([receipt('bounced', 1), receipt('opened', 2)]).deliveries, [{ status: 'delivered' }])
})

t.test('what the provider accepted moves no status', async (t) => {
  t.match(foldReceipts([receipt('accepted', 1)]).deliveries, [{ status: null }])
})
