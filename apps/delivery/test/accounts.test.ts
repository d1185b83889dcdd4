import { eventually } from '@carillon/testkit'
import t from 'tap'
import { useWorld } from './world.js'

/** A mail server that nobody answers at. */
const AWAY = { host: '127.0.0.1', port: 1, plaintext: true, from: 'bells@example.com' }

t.test('mail goes to the next account when the first has used its attempts up', async (t) => {
  const world = await useWorld(t, 'email')
  await world.putTenant('acme', AWAY)
  const second = await world.putAccount('acme', {
    name: 'second',
    position: 1,
    credentials: world.simulators.credentials.smtp,
  })
  const mail = await world.mail('acme', 'ada@example.com')
  await world.rows('UPDATE deliveries SET max_attempts = 2 WHERE id = $1', [mail.deliveryId])
  await world.startWorker()
  await world.drive(mail, 'sent')
  const attempts = await world.rows<{ verdict: string; account: string }>(
    'SELECT verdict, account FROM attempts WHERE delivery_id = $1 ORDER BY attempt_no',
    [mail.deliveryId],
  )
  t.same(
    attempts.map(({ verdict }) => verdict),
    ['retry', 'retry', 'accepted'],
  )
  t.equal(attempts[2]?.account, second)
  t.match(
    await world.rows('SELECT tried, account, max_attempts FROM deliveries WHERE id = $1', [mail.deliveryId]),
    [{ tried: [attempts[0]?.account], account: second, max_attempts: 4 }],
  )
  t.equal(world.simulators.inbox.list().length, 1)
})

t.test(
  'an account whose last attempt died with its worker is given up on like one that never answers',
  async (t) => {
    const world = await useWorld(t, 'email')
    await world.putTenant('acme')
    const { smtp } = world.simulators.credentials
    const second = await world.putAccount('acme', { name: 'second', position: 1, credentials: smtp })
    const [first] = await world.rows<{ id: string }>(`SELECT id FROM providers WHERE name = 'default'`)
    const mail = await world.mail('acme', 'ada@example.com')
    await world.rows('UPDATE deliveries SET max_attempts = 1 WHERE id = $1', [mail.deliveryId])
    for (const lives of [1, 2]) {
      const doomed = await world.startWorker('delivery.after-send:1')
      if (lives === 1) await world.job(mail)
      t.match(await doomed.exited, { signal: 'SIGKILL' })
    }
    await world.startWorker()
    await world.becomes(mail, 'failed')
    t.same(
      (await world.attempts(mail)).map(({ verdict }) => verdict),
      ['unknown', 'unknown'],
      'each account was asked once',
    )
    t.match(
      await world.rows('SELECT tried, unknowns, max_attempts, reason FROM deliveries WHERE id = $1', [
        mail.deliveryId,
      ]),
      [{ tried: [first?.id], unknowns: 2, max_attempts: 2, reason: 'PROVIDER_UNAVAILABLE' }],
    )
    const mails = world.simulators.inbox.list()
    t.equal(mails.length, 2)
    await eventually(async () => (await world.read('RECEIPTS', 'rcp.email.failed.acme')).length === 1)

    const other = await world.mail('acme', 'bob@example.com')
    await world.rows(
      `UPDATE deliveries SET status = 'sending', attempt_no = 2, max_attempts = 2, attempts_each = 2, account = $2, due_at = now() WHERE id = $1`,
      [other.deliveryId, first?.id],
    )
    await world.job(other)
    await world.becomes(other, 'sent')
    t.match(await world.rows('SELECT account FROM deliveries WHERE id = $1', [other.deliveryId]), [
      { account: second },
    ])
  },
)

t.test('an account whose password was changed is passed over at once, and others go on', async (t) => {
  const world = await useWorld(t, 'email')
  const right = world.simulators.credentials.smtp as Record<string, unknown>
  await world.putTenant('acme', { ...right, password: 'of yesterday' })
  await world.putAccount('acme', { name: 'second', position: 1, credentials: right })
  await world.startWorker()
  const mails = [await world.mail('acme', 'ada@example.com'), await world.mail('acme', 'bob@example.com')]
  for (const mail of mails) await world.drive(mail, 'sent')
  t.match(await world.rows('SELECT name, held_until > now() AS held FROM providers ORDER BY position'), [
    { name: 'default', held: true },
    { name: 'second', held: null },
  ])
  t.equal(world.simulators.inbox.list().length, 2)
})

t.test('a pace is kept: what comes too soon is booked for later, a one-time code is not', async (t) => {
  const world = await useWorld(t, 'email')
  await world.putTenant('acme')
  await world.rows('UPDATE providers SET settings = $1', [
    JSON.stringify({ domains: { 'slow.example': 0.01 } }),
  ])
  const mails = []
  for (let n = 0; n < 4; n++) mails.push(await world.mail('acme', `${n}@slow.example`))
  const elsewhere = await world.mail('acme', 'ada@fast.example')
  const code = await world.mail('acme', 'code@slow.example')
  await world.rows(`UPDATE deliveries SET lane = 'high' WHERE id = $1`, [code.deliveryId])
  await world.startWorker()
  await Promise.all([...mails, elsewhere, code].map((mail) => world.job(mail)))
  await world.becomes(elsewhere, 'sent')
  await world.becomes(code, 'sent')
  await eventually(
    async () =>
      (await world.rows(`SELECT FROM deliveries WHERE status IN ('queued', 'sending')`)).length === 0,
  )
  const later = await world.rows<{ status: string; reason: string; in: number }>(
    `SELECT status, reason, extract(epoch FROM due_at - now())::int AS in FROM deliveries
     WHERE address LIKE '_@slow.example' AND status = 'retrying' ORDER BY due_at`,
  )
  t.ok(later.length >= 2, 'most wait')
  for (const row of later) t.match(row, { reason: 'THROTTLED' })
  t.ok((later.at(-1)?.in ?? 0) - (later[0]?.in ?? 0) >= 90 * (later.length - 1), 'one every hundred seconds')
  t.match(
    await world.rows(`SELECT count(*)::int AS asked FROM attempts WHERE verdict = 'paced'`),
    [{ asked: 0 }],
    'and is no attempt',
  )
  await world.rows(`UPDATE deliveries SET due_at = now(), paced_at = now() WHERE status = 'retrying'`)
  for (const mail of mails) await world.drive(mail, 'sent')
  t.equal(world.simulators.inbox.list().length, 6)
})

t.test('a worker whose clock is wrong keeps the paces and pauses of the others', async (t) => {
  const world = await useWorld(t, 'email')
  await world.putTenant('acme')
  await world.putTenant('away', AWAY)
  await world.rows(`UPDATE providers SET settings = '{"perSecond": 1000}' WHERE tenant_id = 'acme'`)
  const behind = 'const own = Date.now; Date.now = () => own() - 600_000'
  await world.startWorker(undefined, {
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(behind)}`,
    CARILLON_RETRY_BASE_MS: '60000',
  })
  const mail = await world.mail('acme', 'ada@example.com')
  const waiting = await world.mail('away', 'ada@example.com')
  await world.job(mail)
  await world.job(waiting)
  await world.becomes(mail, 'sent')
  await world.becomes(waiting, 'retrying')
  t.match(
    await world.rows('SELECT due_at > now() AS later FROM deliveries WHERE id = $1', [waiting.deliveryId]),
    [{ later: true }],
  )
})

t.test('nothing is sent to a mailbox that is not there, twice', async (t) => {
  const world = await useWorld(t, 'email')
  await world.putTenant('acme')
  world.simulators.smtp.faults.rules.push({
    match: (to) => to === 'gone@example.com',
    reply: { status: 550, body: '5.1.1 no such user' },
  })
  await world.startWorker()
  const first = await world.mail('acme', 'gone@example.com')
  await world.job(first)
  await world.becomes(first, 'failed')
  const second = await world.mail('acme', 'Gone@Example.com')
  await world.drive(second, 'skipped')
  t.match(await world.rows('SELECT reason, detail FROM deliveries WHERE id = $1', [second.deliveryId]), [
    { reason: 'ADDRESS_INVALID', detail: /^suppressed since \d{4}-\d\d-\d\d: refused$/ },
  ])
  t.match(await world.rows('SELECT kind, address, reason FROM suppressions'), [
    { kind: 'email', address: 'gone@example.com', reason: 'refused' },
  ])
})

t.test('who complained gets no mail but the critical ones', async (t) => {
  const world = await useWorld(t, 'email')
  await world.putTenant('acme')
  await world.rows(
    `INSERT INTO categories (tenant_id, key, name, critical) VALUES ('acme', 'security', 'Security', true)`,
  )
  await world.rows(
    `INSERT INTO suppressions (tenant_id, kind, address, reason) VALUES ('acme', 'email', 'ada@example.com', 'complained')`,
  )
  const offer = await world.mail('acme', 'ada@example.com')
  const warning = await world.mail('acme', 'ada@example.com')
  await world.rows(`UPDATE runs SET category = 'security' WHERE id = $1`, [warning.runId])
  await world.startWorker()
  await world.job(offer)
  await world.job(warning)
  await world.becomes(offer, 'skipped')
  await world.becomes(warning, 'sent')
})

t.test(
  'who is deleted gets nothing more, wherever it waits, and is not remembered by what never went',
  async (t) => {
    const world = await useWorld(t, 'email')
    await world.putTenant('acme')
    await world.putTenant('away', AWAY)
    const inStream = []
    for (let n = 0; n < 60; n++) inStream.push(await world.mail('acme', `ada-${n}@example.com`))
    const retrying = await world.mail('away', 'ada@example.com')
    await world.startWorker(undefined, { CARILLON_RETRY_BASE_MS: '60000', CARILLON_DELIVERY_BATCH: '4' })
    await world.job(retrying)
    await world.becomes(retrying, 'retrying')
    const publishing = Promise.all(inStream.map((mail) => world.job(mail)))
    await world.becomes(inStream[0] as (typeof inStream)[0], 'sent')
    // in the middle of it
    for (const tenant of ['acme', 'away']) await world.deletePerson(tenant)
    t.match(
      await world.rows('SELECT status, reason, address FROM deliveries WHERE id = $1', [retrying.deliveryId]),
      [{ status: 'withdrawn', reason: 'NO_RECIPIENT', address: '' }],
    )
    await publishing
    // what a dispatcher had judged before and wrote after
    const late = await world.mail('acme', 'ada-late@example.com')
    await world.job(late)
    await world.becomes(late, 'withdrawn')
    await eventually(
      async () =>
        (await world.rows(`SELECT FROM deliveries WHERE status IN ('queued', 'sending', 'retrying')`))
          .length === 0,
    )
    const rows = await world.rows<{ status: string; reason: string; address: string; attempts: number }>(
      'SELECT status, reason, address, attempt_no AS attempts FROM deliveries WHERE id <> $1',
      [retrying.deliveryId],
    )
    const sent = rows.filter(({ status }) => status === 'sent')
    t.equal(world.simulators.inbox.list().length, sent.length)
    for (const row of rows.filter((one) => !sent.includes(one)))
      t.match(row, { status: 'withdrawn', reason: 'NO_RECIPIENT', address: /^$/, attempts: 0 })
    t.ok(sent.length < rows.length)
  },
)
