import { randomUUID } from 'node:crypto'
import { userId } from '@carillon/contracts'
import { sha256 } from '@carillon/service'
import t from 'tap'
import { list, text, useEdge } from './support.js'

const edge = await useEdge(t, { CARILLON_LIMIT_KEY: '6000' })
const admin = await edge.key('acme', 'admin')
const stranger = await edge.key('globex', 'admin')
const support = await edge.key('acme', 'users:write', 'notifications:write', 'workflows:write')
const began = Date.now() - 3_600_000
const at = (minute: number) => new Date(began + minute * 60_000)
for (const user of ['ada', 'bob']) {
  await edge.call(admin, `PUT /v1/users/${user}`, { email: `${user}@example.com` })
}

interface Failed {
  user?: string
  minute: number
  reason?: string
  unknowns?: number
  expires?: Date
  address?: string
}

let notifications = 0
/** A mail that failed after two attempts. */
async function fail({ user = 'ada', minute, ...of }: Failed): Promise<{ run: string; delivery: string }> {
  const run = await edge.notify('acme', user, notifications++)
  const delivery = randomUUID()
  await edge.owner.inTenant('acme', async (tx) => {
    await tx.query({
      text: `INSERT INTO deliveries (run_id, id, tenant_id, user_id, channel, lane, step, address_kind, address, provider, status, reason,
          detail, attempt_no, max_attempts, attempts_each, unknowns, expires_at, created_at, updated_at)
        VALUES ($1, $2, 'acme', $3, 'email', 'normal', 1, 'email', $4, 'smtp', 'failed', $5, 'HTTP 503', 2, 2, 2, $6, $7, $8, $9)`,
      values: [
        run,
        delivery,
        userId(sha256, 'acme', user),
        of.address ?? `${user}@example.com`,
        of.reason ?? 'PROVIDER_UNAVAILABLE',
        of.unknowns ?? 0,
        of.expires ?? null,
        at(minute - 1),
        at(minute),
      ],
    })
    await tx.query({
      text: `INSERT INTO attempts (run_id, delivery_id, attempt_no, tenant_id, provider, verdict, reason, started_at, finished_at)
        VALUES ($1, $2, 1, 'acme', 'smtp', 'retry', 'busy', $3, $3), ($1, $2, 2, 'acme', 'smtp', $5, 'busy', $4, $4)`,
      values: [run, delivery, at(minute - 0.8), at(minute), of.unknowns === undefined ? 'retry' : 'unknown'],
    })
    await tx.query({
      text: `INSERT INTO receipts (run_id, delivery_id, status, tenant_id, channel, by, at, detail)
        VALUES ($1, $2, 'failed', 'acme', 'email', 'worker', $3, 'HTTP 503')`,
      values: [run, delivery, at(minute)],
    })
  })
  return { run, delivery }
}

const listed = async (query = '') =>
  list((await edge.call(admin, `GET /v1/dead-letters${query}`)).body.deadLetters)
const idOf = async (delivery: { run: string }) =>
  text((await listed('?limit=200')).find(({ notification }) => text(notification) === delivery.run)?.id)
const redrive = (body: unknown, headers?: Record<string, string>) =>
  edge.call(admin, 'POST /v1/dead-letters/redrive', body, headers)
const statusOf = async ({ delivery }: { delivery: string }) => {
  const { rows } = await edge.owner.inTenant('acme', (tx) =>
    tx.query<{ status: string; replays: number }>({
      text: 'SELECT status, replays FROM deliveries WHERE id = $1',
      values: [delivery],
    }),
  )
  return rows[0]
}

t.test(
  'an operator finds a dead letter, reads what it says and why, and sends it off again once',
  async (t) => {
    const failed = await fail({ minute: 1 })
    const id = await idOf(failed)
    t.match(await listed('?user=ada&channel=email&provider=smtp&workflow=w'), [
      {
        id,
        notification: failed.run,
        user: 'ada',
        reason: 'PROVIDER_UNAVAILABLE',
        detail: 'HTTP 503',
        attempts: 2,
        replays: 0,
        replayedAt: null,
        failedAt: at(1).toISOString(),
      },
    ])
    t.match(await edge.call(admin, `GET /v1/dead-letters/${id}`), {
      status: 200,
      body: {
        id,
        notification: failed.run,
        delivery: failed.delivery,
        address: 'ada@example.com',
        content: { title: 't0', body: 'b' },
        said: /No provider took it/,
        remedy: /send it again/,
        redrive: { possible: true },
        attempts: [
          { number: 1, verdict: 'retry', provider: 'smtp' },
          { number: 2, verdict: 'retry' },
        ],
        receipts: [{ status: 'failed', by: 'worker' }],
      },
    })
    t.match(await edge.call(stranger, `GET /v1/dead-letters/${id}`), { status: 404 })
    t.match(await edge.call(stranger, 'POST /v1/dead-letters/redrive', { ids: [id] }), {
      body: { matched: 1, redriven: 0, refusals: [{ id, reason: 'UNKNOWN' }] },
    })
    for (const line of ['GET /v1/dead-letters', `GET /v1/dead-letters/${id}`])
      t.equal((await edge.call(support, line)).status, 403, 'support alone may not')
    t.equal((await edge.call(support, 'POST /v1/dead-letters/redrive', { ids: [id] })).status, 403)

    t.match(await redrive({ ids: [id], dryRun: true }), { body: { dryRun: true, matched: 1, redriven: 1 } })
    t.match(await statusOf(failed), { status: 'failed' }, 'a dry run only tells')
    const key = { 'idempotency-key': 'again-1' }
    const first = await redrive({ ids: [id] }, key)
    t.match(first, { status: 200, body: { matched: 1, redriven: 1, refusals: [], next: null } })
    t.match(await statusOf(failed), { status: 'queued', replays: 1 })
    const repeated = await redrive({ ids: [id] }, key)
    t.same(repeated.body, first.body, 'the same request gets the same answer')
    t.match(await redrive({ ids: [id] }), {
      body: {
        redriven: 0,
        refused: { NOT_DEAD: 1 },
        refusals: [{ id, reason: 'NOT_DEAD', detail: /sent off again already/ }],
      },
    })
    t.match(await statusOf(failed), { replays: 1 })
    t.match((await edge.call(admin, `GET /v1/dead-letters/${id}`)).body, {
      status: 'queued',
      replays: 1,
      redrive: { possible: false },
    })
    const facts = await edge.stored('AUDIT', 'aud.dead-letters.redriven.acme')
    t.equal(facts.length, 1, 'what changed something stands in the trail')
    t.match(JSON.parse(facts[0]?.body ?? ''), {
      action: 'dead-letters.redriven',
      details: { ids: id, redriven: 1 },
    })
  },
)

t.test('what failed while a provider was down goes again, and nothing else', async (t) => {
  const before = await fail({ minute: 10, user: 'bob' })
  const during = [await fail({ minute: 12, user: 'bob' }), await fail({ minute: 14, user: 'bob' })]
  const late = await fail({ minute: 15, user: 'bob', expires: at(16) })
  const maybe = await fail({ minute: 16, user: 'bob', unknowns: 1 })
  const after = await fail({ minute: 20, user: 'bob' })
  const filter = { user: 'bob', from: at(12).toISOString(), to: at(20).toISOString() }
  const wanted = { matched: 4, redriven: 2, refused: { EXPIRED: 1, MAYBE_SENT: 1 } }
  t.match((await redrive({ filter, dryRun: true })).body, wanted)
  t.match((await redrive({ filter })).body, wanted)
  t.match((await redrive({ filter })).body, {
    matched: 2,
    redriven: 0,
    refused: { EXPIRED: 1, MAYBE_SENT: 1 },
  })
  for (const one of during) t.match(await statusOf(one), { status: 'queued', replays: 1 })
  for (const one of [before, late, maybe, after])
    t.match(await statusOf(one), { status: 'failed', replays: 0 })
  t.match((await redrive({ filter, evenUnknown: true })).body, { matched: 2, redriven: 1 })
  t.match(await statusOf(maybe), { status: 'queued' })
  t.same(
    (await listed(`?user=bob&from=${encodeURIComponent(filter.from)}&to=${encodeURIComponent(filter.to)}`))
      .length,
    1,
  )
})

t.test('a long redrive is done in parts, and the parts miss nothing', async (t) => {
  const letters = []
  for (let count = 0; count < 7; count++)
    letters.push(await fail({ minute: 30 + count, reason: 'CONFIGURATION' }))
  const filter: Record<string, unknown> = { reason: 'CONFIGURATION' }
  let redriven = 0
  let after: string | undefined
  for (let parts = 1; ; parts++) {
    const { body } = await redrive({ filter, limit: 3, ...(after === undefined ? {} : { after }) })
    redriven += Number(body.redriven)
    filter.to = text(body.to)
    if (body.next === null) {
      t.equal(parts, 3)
      break
    }
    after = text(body.next)
  }
  t.equal(redriven, letters.length)
  const pages: unknown[] = []
  for (let next = ''; ; ) {
    const { body } = await edge.call(admin, `GET /v1/dead-letters?limit=1${next}`)
    pages.push(...list(body.deadLetters))
    if (body.next === null) break
    next = `&after=${text(body.next)}`
  }
  t.equal(pages.length, (await listed()).length)
})

t.test(
  'the story and the time line of a delivery tell that it was sent again, and what may have rung twice',
  async (t) => {
    const { run, delivery } = await fail({ minute: 40, unknowns: 1 })
    await redrive({ ids: [await idOf({ run })], evenUnknown: true })
    await edge.owner.inTenant('acme', async (tx) => {
      await tx.query({
        text: `INSERT INTO attempts (run_id, delivery_id, attempt_no, tenant_id, provider, verdict, provider_id, started_at, finished_at)
        VALUES ($1, $2, 3, 'acme', 'smtp', 'accepted', 'm-1', now(), now())`,
        values: [run, delivery],
      })
      await tx.query({
        text: `INSERT INTO receipts (run_id, delivery_id, status, tenant_id, channel, by, at) VALUES
        ($1, $2, 'accepted', 'acme', 'email', 'provider', now()), ($1, $2, 'opened', 'acme', 'email', 'device', now() + interval '1 s')`,
        values: [run, delivery],
      })
      await tx.query({
        text: `UPDATE deliveries SET status = 'sent', attempt_no = 3 WHERE id = $1`,
        values: [delivery],
      })
    })
    const { body } = await edge.call(support, `GET /v1/notifications/${run}/deliveries`)
    const [shown] = list(body.deliveries)
    t.match(shown, { status: 'sent', replays: 1, unknowns: 1 })
    t.same(
      list(shown?.timeline).map(({ what }) => text(what)),
      ['queued', 'attempt', 'attempt', 'failed', 'replayed', 'attempt', 'accepted', 'opened'],
    )
    const story = await edge.call(support, `GET /v1/notifications/${run}/explain`)
    t.match(text(story.body.text), /sent again on \d{4}-/)
    t.match(text(story.body.text), /1 attempt of unknown outcome: it may have rung more than once/)
    t.match(await edge.call(stranger, `GET /v1/notifications/${run}/deliveries`), { status: 404 })
  },
)

t.test('what only takes a notification off a screen is no dead letter', async (t) => {
  const { run, delivery } = await fail({ minute: 50 })
  const id = await idOf({ run })
  const shown = async () =>
    list((await edge.call(support, `GET /v1/notifications/${run}/status`)).body.deliveries)
  t.equal(text((await shown())[0]?.deadLetter), id, 'of every other the status gives the name')
  await edge.owner.inTenant('acme', (tx) =>
    tx.query({ text: `UPDATE deliveries SET purpose = 'clear' WHERE id = $1`, values: [delivery] }),
  )
  t.equal((await shown())[0]?.deadLetter, undefined)
  t.equal((await edge.call(admin, `GET /v1/dead-letters/${id}`)).status, 404)
  t.match((await redrive({ ids: [id] })).body, { redriven: 0, refused: { NOT_DEAD: 1 } })
})

t.test('a request that can not be meant is refused with what is wrong', async (t) => {
  const bad = [
    [{}, 'ids'],
    [{ ids: ['x'] }, undefined],
    [{ ids: [], filter: {} }, undefined],
    [{ filter: { from: 'yesterday' } }, undefined],
    [{ filter: { from: '2026-13-40T00:00:00Z' } }, 'from'],
    [{ filter: { status: 'sent' } }, undefined],
    [{ filter: {}, limit: 0 }, undefined],
    [{ filter: {}, after: 'x' }, undefined],
  ] as const
  for (const [body, field] of bad) {
    const answer = await redrive(body)
    t.equal(answer.status, 400, JSON.stringify(body))
    if (field !== undefined) t.equal(text(answer.body.field), field)
  }
  t.equal((await edge.call(admin, 'GET /v1/dead-letters?from=2026-13-40T00:00:00Z')).status, 400)
  t.equal((await edge.call(admin, `GET /v1/dead-letters/${'A'.repeat(43)}`)).status, 404)
})
