import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import {
  DELIVERY_RANK,
  type DeliveryStatus,
  DURABLES,
  frameSubject,
  RECEIPT_STATUSES,
  type Receipt,
  receiptSubject,
  STREAMS,
  timedUuid,
} from '@carillon/contracts'
import {
  applyTopology,
  consume,
  createPublisher,
  loadTopology,
  openConnection,
  readSubject,
  retryAfter,
} from '@carillon/jetstream'
import {
  type ClosedAttempt,
  claimDeliveries,
  closeAttempts,
  maintain,
  migrate,
  openDatabase,
  type TenantReceipt,
} from '@carillon/postgres'
import { createHealth, createLogger, createMetrics, sha256 } from '@carillon/service'
import { eventually, useNats, usePostgres } from '@carillon/testkit'
import fc from 'fast-check'
import t from 'tap'
import { start } from '../src/index.js'
import { writeReceipts } from '../src/write-receipts.js'

const postgres = await usePostgres(t, { migrate: (ownerUrl) => migrate({ ownerUrl }), template: 'carillon' })
const owner = openDatabase({ url: postgres.url, max: 2 })
t.teardown(() => owner[Symbol.asyncDispose]())
await maintain(owner, { daysAhead: 1, retainDays: 30 })
const rows = async <R>(text: string, values: unknown[] = []) => (await owner.query<R>({ text, values })).rows
await rows(`INSERT INTO tenants (id, name) VALUES ('acme', 'acme')`)
const NOW = Date.now()
let count = 0

interface Place {
  runId: string
  id: string
}

/** A delivery that was sent, or waits for its worker. */
async function queue(
  status: DeliveryStatus = 'sent',
  [kind, address] = ['email', 'Ada@example.com'],
): Promise<Place> {
  const place = { runId: timedUuid(NOW, sha256(`run ${count++}`)), id: randomUUID() }
  await rows(
    `INSERT INTO runs (id, tenant_id, event_id, workflow_key, workflow_version, recipient, lane, state, plan, content, in_inbox, created_at)
      VALUES ($1, 'acme', $1, 'w', 1, 'ada', 'normal', 'completed', '[]', '{}', false, now())`,
    [place.runId],
  )
  await rows(`INSERT INTO users (tenant_id, id, external_id) VALUES ('acme', $1, $2)`, [
    place.runId,
    place.runId,
  ])
  await rows(
    `INSERT INTO deliveries (run_id, id, tenant_id, user_id, channel, lane, step, address_kind, address, status, max_attempts, created_at, updated_at)
      VALUES ($1, $2, 'acme', $1, $3, 'normal', 1, $4, $5, $6, 2, now(), now())`,
    [place.runId, place.id, kind === 'phone' ? 'sms' : 'email', kind, address, status],
  )
  return place
}

const receipt = (place: Place, status: Receipt['status'], more: Partial<Receipt> = {}): TenantReceipt => ({
  tenant: 'acme',
  runId: place.runId,
  deliveryId: place.id,
  userId: place.runId,
  channel: 'email',
  status,
  at: NOW,
  by: 'provider',
  ...more,
})
const write = (...receipts: TenantReceipt[]) => writeReceipts(receipts, owner)

interface State {
  status: DeliveryStatus
  reason: string | null
  detail: string | null
  delivered: Date | null
  opened: Date | null
  clicked: Date | null
  due: boolean
}
const stateOf = async ({ id }: Place) =>
  (
    await rows<State>(
      `SELECT status, reason, detail, delivered_at AS delivered, opened_at AS opened, clicked_at AS clicked, due_at IS NOT NULL AS due
        FROM deliveries WHERE id = $1`,
      [id],
    )
  )[0] as State

t.test('a receipt counts once, however often it is told', async (t) => {
  const place = await queue()
  const delivered = receipt(place, 'delivered')
  t.match(await write(delivered, delivered), { fresh: 1, moved: [{ id: place.id, status: 'delivered' }] })
  t.same(await write(delivered), { fresh: 0, ended: [], moved: [], engaged: [], suppressed: 0, dead: [] })
  t.same(await rows(`SELECT count FROM statistics WHERE status = 'delivered'`), [{ count: 1 }])
  t.equal(
    (await write(receipt({ ...place, id: randomUUID() }, 'delivered'))).fresh,
    0,
    'nor of what never was',
  )
})

t.test('what a worker ended is told of once, what it only sent is not', async (t) => {
  const [failed, expired, sent] = [await queue('failed'), await queue('expired'), await queue('sent')]
  const receipts = [
    receipt(failed, 'failed', { by: 'worker', reason: 'PROVIDER_UNAVAILABLE' }),
    receipt(expired, 'expired', { by: 'worker', reason: 'EXPIRED' }),
    receipt(sent, 'accepted'),
  ]
  const { ended } = await write(...receipts)
  t.same(
    ended
      .map(({ id, status, userId }) => ({ id, status, userId }))
      .sort((a, b) => (a.status < b.status ? -1 : 1)),
    [
      { id: expired.id, status: 'expired', userId: expired.runId },
      { id: failed.id, status: 'failed', userId: failed.runId },
    ],
  )
  t.same((await write(...receipts)).ended, [])
})

t.test('a late bounce does not undo what arrived, and proof of arrival undoes a bounce', async (t) => {
  const bounced = { reason: 'ADDRESS_INVALID', detail: '5.1.1 no such user' } as const
  for (const proof of ['delivered', 'opened', 'clicked', 'dismissed', 'complained'] as const) {
    const before = await queue()
    await write(receipt(before, proof))
    t.same((await write(receipt(before, 'bounced', bounced))).moved, [])
    const after = await queue()
    t.match((await write(receipt(after, 'bounced', bounced))).moved, [{ status: 'failed' }])
    t.match(await stateOf(after), { reason: 'ADDRESS_INVALID', detail: '5.1.1 no such user' })
    t.match((await write(receipt(after, proof))).moved, [{ status: 'delivered' }])
    t.match(await stateOf(after), {
      status: 'delivered',
      reason: null,
      detail: null,
      delivered: new Date(NOW),
    })
  }
})

t.test('what an address said of itself is remembered along with the receipt', async (t) => {
  const mail = (name: string) => queue('sent', ['email', ` ${name}@Example.com`])
  const suppressions = () =>
    rows(`SELECT kind, address, reason, detail FROM suppressions ORDER BY kind, address`)
  await rows('DELETE FROM suppressions')
  await write(
    receipt(await mail('full'), 'bounced', { reason: 'PROVIDER_UNAVAILABLE' }),
    receipt(await mail('device'), 'bounced', { reason: 'ADDRESS_INVALID', by: 'device' }),
    receipt(await mail('fine'), 'delivered'),
  )
  t.same(await suppressions(), [], 'a full mailbox is a mailbox, and a device speaks of its message alone')
  const gone = await mail('Gone')
  const bounce = receipt(gone, 'bounced', { reason: 'ADDRESS_INVALID', detail: '5.1.1' })
  const stop = await queue('sent', ['phone', '+436601234567'])
  const written = await write(
    bounce,
    receipt(await mail('cross'), 'complained', { detail: 'abuse' }),
    receipt(stop, 'bounced', { channel: 'sms', reason: 'UNSUBSCRIBED', detail: 'TWILIO_21610' }),
    receipt(await mail('gone'), 'bounced', { reason: 'ADDRESS_INVALID', detail: 'again' }),
  )
  t.equal(written.suppressed, 3)
  t.match(await suppressions(), [
    { kind: 'email', address: 'cross@example.com', reason: 'complained', detail: 'abuse' },
    { kind: 'email', address: 'gone@example.com', reason: 'bounced' },
    { kind: 'phone', address: '+436601234567', reason: 'stopped', detail: 'TWILIO_21610' },
  ])
  await rows(`DELETE FROM suppressions WHERE address = 'gone@example.com'`)
  t.equal((await write(bounce)).suppressed, 0, 'the same report again does not undo an operator')
})

const ARRIVED: readonly Receipt['status'][] = ['delivered', 'opened', 'clicked', 'dismissed', 'complained']
const told = fc.record({ status: fc.constantFrom(...RECEIPT_STATUSES), at: fc.integer({ min: 1, max: 9 }) })
const first = (
  facts: readonly { status: Receipt['status']; at: number }[],
  of: readonly Receipt['status'][],
) =>
  facts.reduce<number | null>(
    (at, fact) => (of.includes(fact.status) ? Math.min(at ?? Number.POSITIVE_INFINITY, NOW + fact.at) : at),
    null,
  )

t.test('receipts in any order, batch and repetition end the same', async (t) => {
  // one receipt per status counts, so each status has one time
  const facts = fc.uniqueArray(told, { selector: (fact) => fact.status, minLength: 1 })
  const orders = facts.chain((known) =>
    fc.tuple(
      fc.constant(known),
      fc.array(fc.shuffledSubarray(known), { maxLength: 3 }),
      fc.shuffledSubarray(known, { minLength: known.length }),
    ),
  )
  await fc.assert(
    fc.asyncProperty(orders, async ([known, again, shuffled]) => {
      const [one, other] = [await queue(), await queue()]
      const of = (place: Place, list: typeof known) =>
        list.map(({ status, at }) => receipt(place, status, { at: NOW + at }))
      await write(...of(one, known))
      for (const batch of again) if (batch.length > 0) await write(...of(other, batch))
      for (const fact of of(other, shuffled)) await write(fact)
      const state = await stateOf(one)
      t.same(await stateOf(other), state)
      const arrivedMs = first(known, ARRIVED)
      const bounced = known.some(({ status }) => status === 'bounced')
      t.equal(state.status, arrivedMs !== null ? 'delivered' : bounced ? 'failed' : 'sent')
      t.equal(state.delivered?.getTime() ?? null, arrivedMs)
      t.equal(state.opened?.getTime() ?? null, first(known, ['opened', 'clicked']))
      t.equal(state.clicked?.getTime() ?? null, first(known, ['clicked']))
    }),
    { numRuns: 60 },
  )
})

const WORKING: readonly DeliveryStatus[] = ['queued', 'sending', 'retrying']
/** Only the worker's own round turns back: from an attempt to waiting for the next. */
const mayFollow = (before: DeliveryStatus, after: DeliveryStatus) =>
  before === after ||
  DELIVERY_RANK[after] > DELIVERY_RANK[before] ||
  (WORKING.includes(before) && WORKING.includes(after))

t.test('whatever worker and providers do, in whatever order, no status goes back', async (t) => {
  const close = (place: Place, attempt: number, status: ClosedAttempt['status']): ClosedAttempt => ({
    runId: place.runId,
    id: place.id,
    attempt,
    status,
    reason: status === 'failed' ? 'PROVIDER_REJECTED' : null,
    detail: null,
    dueAtMs: status === 'retrying' ? NOW : null,
    provider: 'smtp',
    providerId: null,
    verdict: 'accepted',
    extraAttempts: 0,
    account: null,
    uncounted: false,
    givesUpAccount: false,
    pacedAtMs: null,
  })
  const step = fc.oneof(
    fc.constant({ kind: 'claim' as const }),
    fc.constant({ kind: 'lapse' as const }),
    fc.record({
      kind: fc.constant('close' as const),
      attempt: fc.integer({ min: 1, max: 2 }),
      status: fc.constantFrom('sent', 'retrying', 'failed', 'expired'),
    }),
    told.map((fact) => ({ kind: 'receipt' as const, ...fact })),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 12 }), async (steps) => {
      const place = await queue('queued')
      const seen: DeliveryStatus[] = ['queued']
      for (const one of steps) {
        if (one.kind === 'claim') {
          await owner.inTransaction((tx) => claimDeliveries(tx, [place], { leaseMs: 60_000 }))
        } else if (one.kind === 'close') {
          await owner.inTransaction((tx) => closeAttempts(tx, [close(place, one.attempt, one.status)]))
        } else if (one.kind === 'receipt') {
          await write(receipt(place, one.status, { at: NOW + one.at }))
        } else {
          await rows(`UPDATE deliveries SET due_at = now() WHERE id = $1 AND due_at IS NOT NULL`, [place.id])
        }
        const { status, due } = await stateOf(place)
        const before = seen.at(-1) as DeliveryStatus
        t.ok(mayFollow(before, status), `${[...seen, status].join(' → ')}`)
        if (DELIVERY_RANK[status] >= DELIVERY_RANK.sent) t.notOk(due, `${status} waits for nobody`)
        seen.push(status)
      }
      const facts = steps.flatMap((one) => (one.kind === 'receipt' ? [one] : []))
      const state = await stateOf(place)
      const arrivedMs = first(facts, ARRIVED)
      t.equal(state.status === 'delivered', arrivedMs !== null, 'what arrived is delivered, and nothing else')
      if (facts.some(({ status }) => status === 'bounced')) t.notOk(WORKING.includes(state.status))
    }),
    { numRuns: 80 },
  )
})

t.test('opened on one phone, it leaves the screens of the others', async (t) => {
  const run = timedUuid(NOW, sha256(`run ${count++}`))
  const user = randomUUID()
  await rows(`INSERT INTO users (tenant_id, id, external_id) VALUES ('acme', $1, $1::uuid::text)`, [user])
  await rows(
    `INSERT INTO runs (id, tenant_id, event_id, workflow_key, workflow_version, user_id, recipient, lane, state, plan, content, in_inbox, created_at)
      VALUES ($1, 'acme', $1, 'w', 1, $2, 'ada', 'normal', 'completed', '[]', '{}', true, now())`,
    [run, user],
  )
  const push = async () => {
    const place = { runId: run, id: randomUUID(), device: randomUUID() }
    await rows(
      `INSERT INTO devices (tenant_id, id, user_id, kind, address, address_hash) VALUES ('acme', $1, $2, 'fcm', '{}', $3)`,
      [place.device, user, Buffer.from(place.device)],
    )
    await rows(
      `INSERT INTO deliveries (run_id, id, tenant_id, user_id, channel, lane, step, address_kind, address, status, sent_at, created_at, updated_at)
        VALUES ($1, $2, 'acme', $3, 'push', 'normal', 1, 'device', $4, 'sent', now() - interval '2 seconds', now(), now())`,
      [run, place.id, user, place.device],
    )
    return place
  }
  const opened = await push()
  const other = await push()
  const dismissed = await push()
  await writeReceipts([receipt(dismissed, 'dismissed', { channel: 'push' })], owner)
  const { moved, engaged } = await writeReceipts(
    [receipt(opened, 'opened', { channel: 'push', at: Date.now() })],
    owner,
  )
  const outbox = await rows<{ id: number; subject: string; message_id: string; body: string }>(
    'SELECT id, subject, message_id, body FROM outbox ORDER BY id DESC LIMIT 1',
  )
  t.match(outbox, [{ id: engaged[0]?.outboxId, subject: `rt.acme.user.${user}`, message_id: `${run}.2` }])
  t.match(
    JSON.parse(outbox[0]?.body ?? ''),
    { type: 'notification.updated', id: run, changes: { readAt: /^20/, snoozedUntil: null, revision: 2 } },
    'what must be heard is written along with the change',
  )
  t.ok((moved[0]?.answeredAfterMs ?? 0) >= 1_900, 'and how long it took is known')
  t.match(await rows(`SELECT address FROM deliveries WHERE run_id = $1 AND purpose = 'clear'`, [run]), [
    { address: other.device },
  ])
})

t.test('what was sent off again may come back a second time, and each of its failures counts', async (t) => {
  const place = await queue()
  const bounce = (at: number) => receipt(place, 'bounced', { at, detail: `at ${at}` })
  const dead = [{ channel: 'email', reason: 'ADDRESS_INVALID' }]
  t.match(await write(bounce(NOW)), { dead, moved: [{ status: 'failed' }] })
  t.match(await write(bounce(NOW)), { dead: [], fresh: 0 })
  await rows(
    `UPDATE deliveries SET status = 'sent', reason = NULL, replays = 1, replayed_at = clock_timestamp() WHERE id = $1`,
    [place.id],
  )
  t.match(await write(bounce(NOW)), { dead: [], fresh: 0 }, 'the one of before is told again')
  t.match(await stateOf(place), { status: 'sent' })
  const again = Date.now() + 1000
  t.match(await write(bounce(again)), { dead, moved: [{ status: 'failed' }] })
  t.match(await write(bounce(again)), { dead: [], fresh: 0 })
  t.match(await write(receipt(place, 'delivered', { at: again })), { moved: [{ status: 'delivered' }] })
})

/** A mesh with the history's consumer, not yet started. LIVE takes one frame of a person and refuses all others if `full`. */
async function useMesh(t: { teardown(close: () => unknown): void }, { full }: { full: boolean }) {
  const nats = await useNats(t)
  const connection = await openConnection({ servers: nats.url, name: 'history' })
  const publisher = createPublisher(connection)
  const file = (name: string) => readFile(new URL(`../../../../nats/${name}`, import.meta.url), 'utf8')
  const live = 'streams: { LIVE: { discard: new, discard_new_per_subject: true, max_msgs_per_subject: 1 } }'
  await applyTopology(
    connection,
    loadTopology(await file('topology.yaml'), [
      await file('environments/single.yaml'),
      ...(full ? [live] : []),
    ]),
  )
  t.teardown(async () => {
    await publisher[Symbol.asyncDispose]()
    await connection[Symbol.asyncDispose]()
  })
  return {
    connection,
    tell: ({ tenant, ...said }: TenantReceipt) =>
      publisher.publish(STREAMS.receipts, {
        subject: receiptSubject(said.channel, said.status, tenant),
        body: JSON.stringify(said),
      }),
    async history() {
      const deps = {
        logger: createLogger({ name: 'history', level: 'silent' }),
        metrics: createMetrics(),
        health: createHealth(),
      }
      const service = await start({ batchSize: 100 }, { ...deps, connection, database: owner })
      t.teardown(() => service[Symbol.asyncDispose]())
      return service
    },
    frames: async ({ runId }: Place) =>
      (
        await readSubject(connection, {
          stream: STREAMS.live,
          subject: frameSubject('acme', 'user', runId),
          fromSequence: 1,
          limit: 10,
        })
      ).map(({ body }) => JSON.parse(Buffer.from(body).toString()) as unknown),
  }
}

t.test('what LIVE does not take is left in the outbox, and what it takes is not', async (t) => {
  const mesh = await useMesh(t, { full: true })
  const first = await queue()
  const second: Place = { runId: first.runId, id: randomUUID() }
  await rows(
    `INSERT INTO deliveries SELECT (d).* FROM (
      SELECT jsonb_populate_record(d, jsonb_build_object('id', $2::text)) AS d FROM deliveries d WHERE d.id = $1) AS copies`,
    [first.id, second.id],
  )
  await rows('DELETE FROM outbox')
  await mesh.history()
  const frame = ({ runId, id }: Place) => ({
    type: 'delivery.updated',
    id: runId,
    deliveryId: id,
    channel: 'email',
    status: 'delivered',
  })
  await mesh.tell(receipt(first, 'delivered'))
  await eventually(async () => (await mesh.frames(first)).length === 1)
  await mesh.tell(receipt(second, 'delivered'))
  const left = () =>
    rows<{ stream: string; subject: string; messageId: string; body: string }>(
      'SELECT stream, subject, message_id AS "messageId", body FROM outbox',
    )
  await eventually(async () => (await left()).length > 0)
  t.match(await left(), [
    {
      stream: 'LIVE',
      subject: frameSubject('acme', 'user', first.runId),
      messageId: `${second.id}.delivered`,
      body: JSON.stringify(frame(second)),
    },
  ])
  t.same(await mesh.frames(first), [frame(first)])
})

t.test('who took a receipt and died before telling of it is followed by who tells', async (t) => {
  const mesh = await useMesh(t, { full: false })
  const place = await queue()
  let died = false
  const taken = consume(
    mesh.connection,
    { stream: STREAMS.receipts, durable: DURABLES.history, batch: 10, concurrency: 1 },
    async (batch) => {
      if (!died) await write(receipt(place, 'delivered'))
      died = true
      return batch.map(() => retryAfter(100))
    },
    { onFailure: (error) => t.error(error), onMissing: () => undefined, onDead: () => undefined },
  )
  await mesh.tell(receipt(place, 'delivered'))
  await eventually(() => died)
  await taken[Symbol.asyncDispose]()
  t.same(await mesh.frames(place), [])
  await mesh.history()
  await eventually(async () => (await mesh.frames(place)).length === 1)
  t.match(await mesh.frames(place), [{ deliveryId: place.id, status: 'delivered' }])
})
