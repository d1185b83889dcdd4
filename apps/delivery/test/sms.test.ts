import { verifyReceiptToken } from '@carillon/channels'
import { eventually } from '@carillon/testkit'
import t from 'tap'
import { RECEIPT_KEY, useWorld } from './world.js'

const ANA = '+436601234567'

t.test('a text is brought once, and its account is told where to report', async (t) => {
  const world = await useWorld(t, 'sms')
  await world.putTenant('acme')
  await world.startWorker()
  const job = await world.text('acme', ANA, { title: 'Your ride', body: 'Ana waits' })
  await world.job(job)
  await world.job(job)
  await world.becomes(job, 'sent')
  await eventually(async () => (await world.read('RECEIPTS', 'rcp.sms.accepted.acme')).length === 1)
  const { inbox, sms } = world.simulators
  t.equal(sms.counters.messages, 1)
  const [message] = inbox.list()
  t.match(message, { provider: 'sms', to: ANA, body: 'Your ride\nAna waits' })
  const { statusCallback, sid } = (message?.raw ?? {}) as Record<string, string>
  t.match(await world.rows('SELECT provider, provider_id FROM deliveries'), [
    { provider: 'sms', provider_id: sid },
  ])
  const url = new URL(statusCallback ?? '')
  const [account] = await world.rows<{ id: string }>('SELECT id FROM providers')
  t.equal(`${url.origin}${url.pathname}`, `https://bells.example/v1/callbacks/twilio/${account?.id}`)
  t.match(verifyReceiptToken(RECEIPT_KEY, url.searchParams.get('token') ?? ''), {
    tenant: 'acme',
    notificationId: job.runId,
    deliveryId: job.deliveryId,
  })
})

t.test(
  'an answer that can not be stored as it is keeps no text from being noted, nor is it sent again',
  async (t) => {
    const world = await useWorld(t, 'sms')
    const { sms } = world.simulators
    await world.putTenant('acme')
    sms.faults.rules.push({
      match: (number) => number === '+436600000201',
      reply: { status: 201, body: { sid: 'SM\0x' } },
    })
    const odd = await world.text('acme', '+436600000201')
    const plain = await world.text('acme', ANA)
    for (const job of [odd, plain]) await world.job(job)
    await world.startWorker()
    for (const job of [odd, plain]) {
      await world.becomes(job, 'sent')
      t.same(await world.attempts(job), [{ verdict: 'accepted' }])
    }
    t.match(await world.rows('SELECT provider_id FROM deliveries WHERE id = $1', [odd.deliveryId]), [
      { provider_id: 'SM\uFFFDx' },
    ])
  },
)

t.test('each refusal ends its own text and says why; Retry-After is waited for', async (t) => {
  const world = await useWorld(t, 'sms')
  const { sms } = world.simulators
  await world.putTenant('acme')
  await world.putTenant('revoked', { ...sms.credentials, authToken: 'revoked' })
  await world.startWorker()
  sms.stop('+436600000001')
  sms.faults.rules.push({
    match: (number) => number === '+436600000429',
    times: 1,
    reply: { status: 429, headers: { 'retry-after': '600' } },
  })
  const wrong = await world.text('acme', '+15005550001')
  const stopped = await world.text('acme', '+436600000001')
  const typed = await world.text('acme', '0660 123')
  const empty = await world.text('acme', ANA, { title: '' })
  const busy = await world.text('acme', '+436600000429')
  const held = await world.text('revoked', ANA)
  const good = await world.text('acme', ANA)
  for (const job of [wrong, stopped, typed, empty, busy, held, good]) await world.job(job)
  await world.becomes(good, 'sent')
  for (const job of [wrong, stopped, typed, empty]) await world.becomes(job, 'failed')
  for (const job of [busy, held]) await world.becomes(job, 'retrying')
  const stateOf = async (job: { deliveryId: string }) =>
    (
      await world.rows(
        `SELECT reason, detail, due_at > now() + interval '500 seconds' AS much_later FROM deliveries WHERE id = $1`,
        [job.deliveryId],
      )
    )[0]
  t.match(await stateOf(wrong), { reason: 'ADDRESS_INVALID', detail: 'TWILIO_21211' })
  t.match(await stateOf(stopped), { reason: 'ADDRESS_INVALID', detail: 'TWILIO_21610' })
  const after = await world.text('acme', '+436600000001')
  await world.job(after)
  await world.becomes(after, 'skipped')
  t.match(await stateOf(after), { detail: /^suppressed since .*: stopped$/ }, 'nobody asks again')
  t.match(await stateOf(typed), { reason: 'ADDRESS_INVALID', detail: 'INVALID_NUMBER' })
  t.match(await stateOf(empty), { reason: 'PAYLOAD_INVALID', detail: 'NO_TEXT' })
  t.match(await stateOf(busy), { reason: 'PROVIDER_UNAVAILABLE', detail: 'TWILIO_20429', much_later: true })
  t.match(await stateOf(held), { reason: 'CONFIGURATION', detail: 'TWILIO_20003' })
  t.match(
    await world.rows('SELECT tenant_id, held_until > now() AS held FROM providers ORDER BY tenant_id'),
    [
      { tenant_id: 'acme', held: null },
      { tenant_id: 'revoked', held: true },
    ],
  )
})

t.test('killed after it was sent, a text may ring twice and is never lost', async (t) => {
  const world = await useWorld(t, 'sms')
  await world.putTenant('acme')
  const job = await world.text('acme', ANA)
  const doomed = await world.startWorker('delivery.after-send:1')
  await world.job(job)
  t.match(await doomed.exited, { signal: 'SIGKILL' })
  await world.startWorker()
  await world.becomes(job, 'sent')
  t.same(
    (await world.attempts(job)).map(({ verdict }) => verdict),
    ['unknown', 'accepted'],
  )
  t.equal(world.simulators.sms.counters.messages, 2)
})

t.test(
  'a text that its network confirms before it was written down still tells that it was accepted',
  async (t) => {
    const world = await useWorld(t, 'sms')
    await world.putTenant('acme')
    const job = await world.text('acme', ANA)
    let confirmed: Promise<unknown[]> | undefined
    const confirm = () =>
      world.rows(
        `UPDATE deliveries SET status = 'delivered' WHERE id = $1 AND status = 'sending' RETURNING id`,
        [job.deliveryId],
      )
    world.simulators.sms.faults.rules.push({
      times: 1,
      match: () => {
        confirmed ??= confirm()
        return true
      },
      reply: { latencyMs: 2_000 },
    })
    await world.startWorker()
    await world.job(job)
    await eventually(() => confirmed !== undefined)
    t.equal((await confirmed)?.length, 1)
    await eventually(async () => (await world.read('RECEIPTS', 'rcp.sms.accepted.acme')).length === 1)
    t.match(await world.attempts(job), [{ verdict: 'accepted' }])
  },
)
