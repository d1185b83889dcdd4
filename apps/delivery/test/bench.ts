import { randomUUID } from 'node:crypto'
import { timedUuid } from '@carillon/contracts'
import {
  claimDeliveries,
  closeAttempts,
  createLogins,
  maintain,
  migrate,
  openDatabase,
} from '@carillon/postgres'
import { sha256 } from '@carillon/service'
import { usePostgres } from '@carillon/testkit'
import t from 'tap'

/** Claim and close of batches of 200 without a provider: rows per second and this process's CPU per row. */
t.test('claim and close', async (t) => {
  const postgres = await usePostgres(t, {
    migrate: (ownerUrl) => migrate({ ownerUrl }),
    template: 'carillon',
  })
  const { workerUrl } = await createLogins({
    ownerUrl: postgres.url,
    requestLogin: { name: 'test_bench_request', password: 'request' },
    workerLogin: { name: 'test_bench_worker', password: 'worker' },
  })
  const database = openDatabase({ url: workerUrl, max: 2 })
  const owner = openDatabase({ url: postgres.url, max: 2 })
  t.teardown(async () => {
    await database[Symbol.asyncDispose]()
    await owner[Symbol.asyncDispose]()
  })
  await maintain(owner, { daysAhead: 1, retainDays: 30 })
  const keys = Array.from({ length: 4_000 }, (_, n) => ({
    runId: timedUuid(Date.now(), sha256(`${n}`)),
    id: randomUUID(),
  }))
  await owner.query({
    text: `WITH n AS (SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS n (run, id)), t AS (
      INSERT INTO tenants (id, name) VALUES ('acme', 'Acme')), u AS (
      INSERT INTO users (tenant_id, id, external_id) SELECT 'acme', run, run::text FROM n), r AS (
      INSERT INTO runs (id, tenant_id, event_id, workflow_key, workflow_version, user_id, recipient, lane, state, plan, content, in_inbox, created_at)
      SELECT run, 'acme', run, 'w', 1, run, 'a', 'normal', 'done', '[]', '{"inbox":{"title":"Hello"}}', true, now() FROM n)
      INSERT INTO deliveries (run_id, id, tenant_id, user_id, channel, lane, step, address_kind, address, created_at, updated_at)
      SELECT run, id, 'acme', run, 'email', 'normal', 1, 'email', 'a@example.com', now(), now() FROM n`,
    values: [keys.map(({ runId }) => runId), keys.map(({ id }) => id)],
  })
  const began = performance.now()
  const cpu = process.cpuUsage()
  let sent = 0
  for (let from = 0; from < keys.length; from += 200) {
    const claimed = await database.inTransaction((tx) =>
      claimDeliveries(tx, keys.slice(from, from + 200), { leaseMs: 60_000 }),
    )
    const closed = await database.inTransaction((tx) =>
      closeAttempts(
        tx,
        claimed.map(({ runId, id, attempt }) => ({
          runId,
          id,
          attempt,
          status: 'sent' as const,
          reason: null,
          detail: null,
          dueAtMs: null,
          provider: 'null',
          providerId: null,
          verdict: 'accepted',
          extraAttempts: 0,
          account: null,
          uncounted: false,
          givesUpAccount: false,
          pacedAtMs: null,
        })),
      ),
    )
    sent += closed.size
  }
  const { user, system } = process.cpuUsage(cpu)
  t.equal(sent, keys.length)
  t.comment(
    `${Math.round((sent * 1000) / (performance.now() - began))} rows/s, ${((user + system) / sent).toFixed(1)} µs CPU per row`,
  )
})
