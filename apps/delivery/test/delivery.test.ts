import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { eventually } from '@carillon/testkit'
import t from 'tap'
import { useWorld } from './world.js'

/** Of a worker, in one lane. */
const BATCHES_AT_A_TIME = 4

const KILLED = [
  { place: 'after-claim', sends: 1, unknowns: 1, verdicts: ['unknown', 'accepted'] },
  { place: 'after-send', sends: 2, unknowns: 1, verdicts: ['unknown', 'accepted'] },
  { place: 'after-close', sends: 1, unknowns: 0, verdicts: ['accepted'] },
]
for (const { place, sends, unknowns, verdicts } of KILLED) {
  t.test(`killed ${place}, nothing is lost and only an unknown attempt is repeated`, async (t) => {
    const world = await useWorld(t)
    await world.putTenant('acme')
    const job = await world.queue('acme', world.simulators.fcm.registerDevice().token)
    const doomed = await world.startWorker(`delivery.${place}:1`)
    await world.job(job)
    t.match(await doomed.exited, { signal: 'SIGKILL' })
    await world.startWorker()
    await world.becomes(job, 'sent')
    await eventually(async () => (await world.read('RECEIPTS', 'rcp.push.accepted.acme')).length === 1)
    t.same(
      (await world.attempts(job)).map(({ verdict }) => verdict),
      verdicts,
    )
    t.equal(world.simulators.fcm.counters.sends, sends)
    t.match(await world.rows('SELECT unknowns FROM deliveries WHERE id = $1', [job.deliveryId]), [
      { unknowns },
    ])
  })
}

t.test('each verdict ends its own delivery and nobody else waits', async (t) => {
  const world = await useWorld(t)
  const { fcm } = world.simulators
  await world.putTenant('acme')
  await world.putTenant('broken', { nonsense: true })
  await world.startWorker()
  const good = await world.queue('acme', fcm.registerDevice().token)
  const dead = await world.queue('acme', 'never-registered')
  const late = await world.queue('acme', fcm.registerDevice().token, new Date(Date.now() - 1))
  const stuck = await world.queue('broken', fcm.registerDevice().token)
  await world.poison('acme')
  for (const job of [stuck, dead, late, good, good]) await world.job(job)

  await world.becomes(good, 'sent')
  await world.becomes(dead, 'failed')
  await world.becomes(late, 'expired')
  await world.becomes(stuck, 'retrying')
  await eventually(async () => (await world.read('DEAD_LETTERS', 'dlq.>')).length === 1)
  t.equal((await world.attempts(good)).length, 1, 'a job that comes twice is sent once')
  t.match(await world.rows('SELECT reason FROM deliveries WHERE id = $1', [stuck.deliveryId]), [
    { reason: 'CONFIGURATION' },
  ])
  await eventually(
    async () =>
      (await world.rows(`SELECT FROM devices WHERE id = $1 AND status = 'gone'`, [dead.device])).length === 1,
  )
})

t.test('what was seen meanwhile is not pushed any more, unless its step says so', async (t) => {
  const world = await useWorld(t)
  const { fcm } = world.simulators
  await world.putTenant('acme')
  const seen = await world.queue('acme', fcm.registerDevice().token)
  const regardless = await world.queue('acme', fcm.registerDevice().token, null, {
    inbox: { title: 'Hello' },
    1: { options: { unlessSeen: false } },
  })
  const silent = await world.queue('acme', fcm.registerDevice().token, null, {
    inbox: { title: 'Hello' },
    1: { options: { silent: true } },
  })
  const unseen = await world.queue('acme', fcm.registerDevice().token)
  for (const { runId } of [seen, regardless, silent]) {
    await world.rows('UPDATE runs SET seen_at = now() WHERE id = $1', [runId])
  }
  await world.startWorker()
  for (const job of [seen, regardless, silent, unseen]) await world.job(job)
  await world.becomes(seen, 'withdrawn')
  for (const job of [regardless, silent, unseen]) await world.becomes(job, 'sent')
  t.match(
    await world.rows('SELECT reason, attempt_no, due_at FROM deliveries WHERE id = $1', [seen.deliveryId]),
    [{ reason: 'ALREADY_SEEN', attempt_no: 0, due_at: null }],
  )
  t.equal(fcm.counters.sends, 3)
})

t.test('what was read elsewhere leaves the screen without a sound, and nobody is told of it', async (t) => {
  const world = await useWorld(t)
  await world.putTenant('acme')
  const { token } = world.simulators.fcm.registerDevice()
  const unread = await world.queue('acme', token)
  const clear = await world.queue('acme', token)
  await world.rows(`UPDATE deliveries SET purpose = 'clear' WHERE id = $1`, [clear.deliveryId])
  await world.rows('UPDATE runs SET seen_at = now(), read_at = now() WHERE id = $1', [clear.runId])
  await world.startWorker()
  await world.job(clear)
  await world.becomes(clear, 'sent')
  const [message] = world.simulators.inbox.list()
  t.match(message, { silent: true, nid: clear.runId })
  t.match(JSON.stringify(message?.raw), `"clear":"${clear.runId}"`)
  t.match(JSON.stringify(message?.raw), '"badge":"1"')
  await world.job(unread)
  await eventually(async () => (await world.read('RECEIPTS', 'rcp.push.accepted.acme')).length === 1)
})

t.test('a provider that is down for a moment is asked again', async (t) => {
  const world = await useWorld(t)
  await world.putTenant('acme')
  await world.startWorker()
  const job = await world.queue('acme', world.simulators.fcm.registerDevice().token)
  world.simulators.break('fcm')
  await world.job(job)
  await world.becomes(job, 'retrying')
  t.match(
    await world.rows('SELECT due_at > now() AS later FROM deliveries WHERE id = $1', [job.deliveryId]),
    [{ later: true }],
  )
  // however long the rest takes
  await world.rows(`UPDATE deliveries SET due_at = now() + interval '1 hour' WHERE id = $1`, [job.deliveryId])
  world.simulators.heal('fcm')
  const later = await world.queue('acme', world.simulators.fcm.registerDevice().token)
  await world.job(job)
  await world.job(later)
  await world.becomes(later, 'sent')
  t.equal((await world.attempts(job)).length, 1, 'a job that comes too soon changes nothing')
  await world.hurry(job)
  await world.job(job)
  await world.becomes(job, 'sent')
  t.same(
    (await world.attempts(job)).map(({ verdict }) => verdict),
    ['retry', 'accepted'],
  )
})

t.test('what failed is told of, and buried, once the broker takes it', async (t) => {
  const world = await useWorld(t)
  await world.putTenant('acme')
  await world.startWorker()
  const job = await world.queue('acme', world.simulators.fcm.registerDevice().token)
  await world.rows('UPDATE deliveries SET max_attempts = 1 WHERE id = $1', [job.deliveryId])
  const receipts = await world.refuseReceipts()
  world.simulators.break('fcm')
  await world.job(job)
  await world.becomes(job, 'failed')
  await eventually(() => receipts.tried() >= 2)
  t.equal((await world.read('DEAD_LETTERS', 'dlq.>')).length, 0)
  await receipts.heal()
  await eventually(async () => (await world.read('RECEIPTS', 'rcp.push.failed.acme')).length > 0)
  await eventually(async () => (await world.read('DEAD_LETTERS', 'dlq.>')).length === 1)
  t.equal((await world.attempts(job)).length, 1)
})

t.test('refused credentials hold that provider of that tenant alone, and cost no attempt', async (t) => {
  const world = await useWorld(t)
  const { fcm } = world.simulators
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const revoked = privateKey.export({ type: 'pkcs8', format: 'pem' })
  await world.putTenant('acme')
  await world.putTenant('revoked', { ...(fcm.credentials as object), private_key: revoked })
  await world.startWorker()
  const stuck = await world.queue('revoked', fcm.registerDevice().token)
  const good = await world.queue('acme', fcm.registerDevice().token)
  await world.job(stuck)
  await world.job(good)
  await world.becomes(good, 'sent')
  await world.becomes(stuck, 'retrying')
  t.match(
    await world.rows('SELECT reason, max_attempts, attempt_no FROM deliveries WHERE id = $1', [
      stuck.deliveryId,
    ]),
    [{ reason: 'CONFIGURATION', max_attempts: 4, attempt_no: 1 }],
  )
  t.match(
    await world.rows('SELECT tenant_id, held_until > now() AS held FROM providers ORDER BY tenant_id'),
    [
      { tenant_id: 'acme', held: null },
      { tenant_id: 'revoked', held: true },
    ],
  )
})

t.test('when the addresses of an app die all at once, none is deleted', async (t) => {
  const world = await useWorld(t)
  await world.putTenant('acme')
  const jobs = []
  for (let n = 0; n < 25; n++) jobs.push(await world.queue('acme', `never-registered-${n}`))
  const plugs = []
  for (let n = 0; n < BATCHES_AT_A_TIME; n++)
    plugs.push(await world.queue('acme', world.simulators.fcm.registerDevice().token))
  await world.startWorker()
  await world.jobsTogether(jobs, plugs)
  for (const job of jobs) {
    await eventually(async () => (await world.attempts(job)).some(({ verdict }) => verdict !== null))
  }
  t.match(await world.rows(`SELECT count(*)::int AS gone FROM devices WHERE status <> 'active'`), [
    { gone: 0 },
  ])
  t.match(await world.rows(`SELECT count(*)::int AS kept FROM deliveries WHERE status = 'retrying'`), [
    { kept: 25 },
  ])
  t.match(await world.rows('SELECT held_until > now() AS held FROM providers'), [{ held: true }])
})

t.test('who signs in on a phone is not shown what waited for somebody else', async (t) => {
  const world = await useWorld(t)
  await world.putTenant('acme')
  const job = await world.queue('acme', world.simulators.fcm.registerDevice().token)
  const bob = randomUUID()
  await world.rows(`INSERT INTO users (tenant_id, id, external_id) VALUES ('acme', $1, 'bob')`, [bob])
  await world.rows('UPDATE devices SET user_id = $1 WHERE id = $2', [bob, job.device])
  await world.startWorker()
  await world.job(job)
  await world.becomes(job, 'failed')
  t.equal(world.simulators.fcm.counters.sends, 0)
  t.match(await world.rows('SELECT reason FROM deliveries WHERE id = $1', [job.deliveryId]), [
    { reason: 'ADDRESS_INVALID' },
  ])
  t.match(await world.rows('SELECT status FROM devices WHERE id = $1', [job.device]), [{ status: 'active' }])
})
