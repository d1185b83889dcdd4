import { randomUUID } from 'node:crypto'
import { timedUuid } from '@carillon/contracts'
import { applyDeliveryNews, insertReceipts, maintain, migrate, openDatabase } from '@carillon/postgres'
import { sha256 } from '@carillon/service'
import { usePostgres } from '@carillon/testkit'
import t from 'tap'

t.test('a receipt counts once and a late failure does not overwrite delivered', async (t) => {
  const postgres = await usePostgres(t, {
    migrate: (ownerUrl) => migrate({ ownerUrl }),
    template: 'carillon',
  })
  const owner = openDatabase({ url: postgres.url, max: 2 })
  t.teardown(() => owner[Symbol.asyncDispose]())
  await maintain(owner, { daysAhead: 1, retainDays: 30 })
  const runId = timedUuid(Date.now(), sha256('run'))
  const id = randomUUID()
  await owner.query({
    text: `INSERT INTO deliveries (run_id, id, tenant_id, user_id, channel, lane, step, address_kind, address, status, created_at, updated_at)
      VALUES ($1, $2, 'acme', $1, 'email', 'normal', 1, 'email', 'a@example.com', 'sent', now(), now())`,
    values: [runId, id],
  })
  const receipt = {
    tenant: 'acme',
    runId,
    deliveryId: id,
    userId: runId,
    channel: 'email',
    status: 'delivered',
    at: Date.now(),
    by: 'provider',
  } as const
  const insert = () => owner.inTransaction((tx) => insertReceipts(tx, [receipt, receipt]))
  t.equal((await insert()).length, 1)
  t.equal((await insert()).length, 0)
  const news = { runId, id, reason: null, deliveredAtMs: null, openedAtMs: null, clickedAtMs: null }
  const apply = (status: 'delivered' | 'failed') =>
    owner.inTransaction((tx) => applyDeliveryNews(tx, [{ ...news, status }]))
  t.match(await apply('delivered'), [{ id, status: 'delivered' }])
  t.same(await apply('failed'), [])
})
