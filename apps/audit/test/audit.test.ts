import { appendAudit, createLogins, migrate, openDatabase, verifyAudit } from '@carillon/postgres'
import { usePostgres } from '@carillon/testkit'
import t from 'tap'

t.test('a chain proves itself, leaves repeated facts out and names the entry that was changed', async (t) => {
  const postgres = await usePostgres(t, {
    migrate: (ownerUrl) => migrate({ ownerUrl }),
    template: 'carillon',
  })
  const { workerUrl } = await createLogins({
    ownerUrl: postgres.url,
    requestLogin: { name: 'test_audit_request', password: 'request' },
    workerLogin: { name: 'test_audit_worker', password: 'worker' },
  })
  const owner = openDatabase({ url: postgres.url, max: 2 })
  const worker = openDatabase({ url: workerUrl, max: 2 })
  t.teardown(async () => {
    await worker[Symbol.asyncDispose]()
    await owner[Symbol.asyncDispose]()
  })
  await owner.inTenant('acme', (tx) =>
    tx.query({ text: `INSERT INTO tenants (id, name) VALUES ('acme', 'Acme')` }),
  )
  const facts = ['a', 'b', 'c'].map((id) => ({ factId: id, fact: `{"id":"${id}", "n": 1}` }))
  const append = () => worker.inTransaction((tx) => appendAudit(tx, 'acme', facts))
  t.equal(await append(), 3)
  t.equal(await append(), 0, 'nothing twice')
  t.match(await verifyAudit(worker, 'acme'), { ok: true, entries: 3 })
  await owner.inTenant('acme', (tx) =>
    tx.query({ text: `UPDATE audit SET fact = '{"id":"b"}' WHERE tenant_id = 'acme' AND sequence = 2` }),
  )
  t.match(await verifyAudit(worker, 'acme'), { ok: false, sequence: 2 })
})
