import { digestId, eventHash, eventRowId, runId, userId } from '@carillon/contracts'
import { appendAudit, claimEventKeys } from '@carillon/postgres'
import { sha256 } from '@carillon/service'
import { eventually } from '@carillon/testkit'
import t from 'tap'
import { list, text, useEdge } from './support.js'

const edge = await useEdge(t, { CARILLON_LIMIT_USER: '600' })
const admin = await edge.key('acme', 'admin')
const stranger = await edge.key('globex', 'admin')
const SOURCE = '/rides'
const ACCEPTED = 'rides.ride.accepted.v1'

interface Kept {
  row: string
  seen: number
}

/** An event as the dispatcher keeps it. */
async function keep(
  id: string,
  { type = ACCEPTED, data = {}, outcome = [] }: { type?: string; data?: unknown; outcome?: unknown[] } = {},
): Promise<Kept> {
  const hash = eventHash(sha256, { tenant: 'acme', source: SOURCE, id })
  const claimed = await edge.owner.inTransaction((tx) =>
    claimEventKeys(tx, [Buffer.from(hash.subarray(0, 16))]),
  )
  const seen = [...claimed.values()][0]?.firstSeenMs ?? 0
  const row = eventRowId(seen, hash)
  await edge.owner.query({
    text: `INSERT INTO events (id, tenant_id, source, event_id, type, lane, data, outcome, first_seen)
      VALUES ($1, 'acme', $2, $3, $4, 'normal', $5, $6, to_timestamp($7 / 1000.0))`,
    values: [row, SOURCE, id, type, JSON.stringify(data), JSON.stringify(outcome), seen],
  })
  return { row, seen }
}

/** A run as the dispatcher keeps it. */
async function run(
  event: Kept,
  of: {
    workflow: string
    version?: number
    user?: string
    state: string
    reason?: string
    plan: unknown[]
    inInbox?: boolean
    wakeAt?: number
    cancelKey?: string
    digest?: string
    id?: string
  },
): Promise<string> {
  const { user = 'ada' } = of
  const recipient = userId(sha256, 'acme', user)
  const named = { firstSeenMs: event.seen, eventRow: event.row, workflow: of.workflow, recipient }
  const id = of.id ?? runId(sha256, named)
  await edge.owner.query({
    text: `INSERT INTO runs (id, tenant_id, event_id, workflow_key, workflow_version, user_id, recipient, lane, state, reason,
        plan, in_inbox, wake_at, cancel_key, digest_id, created_at)
      VALUES ($1, 'acme', $2, $3, $4, $5, $6, 'normal', $7, $8, $9, $10, to_timestamp($11 / 1000.0), $12, $13, to_timestamp($14 / 1000.0))`,
    values: [
      id,
      event.row,
      of.workflow,
      of.version ?? 1,
      recipient,
      user,
      of.state,
      of.reason ?? null,
      JSON.stringify(of.plan),
      of.inInbox ?? false,
      of.wakeAt ?? null,
      of.cancelKey ?? null,
      of.digest ?? null,
      event.seen,
    ],
  })
  return id
}

const matched = (workflow: string, more: object = {}) => ({
  workflow,
  version: 1,
  matched: true,
  recipients: 1,
  ...more,
})

/** Publishes a workflow; those without `on` listen to a type of their own. */
async function publish(key: string, more: object): Promise<void> {
  const written = {
    on: `on.${key}`,
    to: 'data.customerId',
    content: { title: 'Hi' },
    steps: ['inbox'],
    ...more,
  }
  const answer = await edge.call(admin, `PUT /v1/workflows/${key}`, { key, ...written })
  if (answer.status > 201) throw new Error(JSON.stringify(answer.body))
}

async function why(id: string, user: string, more = '') {
  const { status, body } = await edge.call(
    admin,
    `GET /v1/events/${id}/explain?source=${SOURCE}&user=${user}${more}`,
  )
  t.equal(status, 200, JSON.stringify(body))
  return body
}

await edge.call(admin, 'PUT /v1/users/ada', {
  name: 'Ada',
  roles: ['customer'],
  attributes: { plan: 'free' },
})
await edge.call(admin, 'PUT /v1/users/carl', { name: 'Carl' })

t.test('who was told gets the whole way: steps in branches, attempts, receipts', async (t) => {
  await publish('told', { steps: [{ branch: { if: 'data.fast', then: ['inbox', 'push'] } }] })
  const event = await keep('told', {
    type: 'on.told',
    data: { customerId: 'ada', fast: true },
    outcome: [matched('told')],
  })
  const id = await run(event, {
    workflow: 'told',
    state: 'completed',
    inInbox: true,
    plan: [
      {
        at: event.seen + 10,
        steps: [
          { step: 0, type: 'branch', outcome: 'pass', detail: 'data.fast is true' },
          { step: 1, type: 'inbox', outcome: 'deliver', detail: 'nobody switched it off' },
          { step: 2, type: 'push', outcome: 'deliver', detail: 'nobody switched it off; to 1 device' },
        ],
      },
    ],
  })
  const delivery = digestId(sha256, { run: id, step: 9 })
  await edge.owner.query({
    text: `INSERT INTO deliveries (run_id, id, tenant_id, user_id, channel, lane, step, address_kind, address, status, created_at, updated_at)
      VALUES ($1, $2, 'acme', $3, 'push', 'normal', 2, 'device', 'gone', 'delivered', now(), now())`,
    values: [id, delivery, userId(sha256, 'acme', 'ada')],
  })
  await edge.owner.query({
    text: `INSERT INTO attempts (run_id, delivery_id, attempt_no, tenant_id, provider, verdict, started_at)
      VALUES ($1, $2, 1, 'acme', 'fcm', 'accepted', to_timestamp($3 / 1000.0))`,
    values: [id, delivery, event.seen + 20],
  })
  await edge.owner.query({
    text: `INSERT INTO receipts (run_id, delivery_id, status, tenant_id, channel, by, at)
      VALUES ($1, $2, 'delivered', 'acme', 'push', 'device', to_timestamp($3 / 1000.0))`,
    values: [id, delivery, event.seen + 30],
  })
  const story = await why('told', 'ada')
  t.match(story.text, /It told ada through workflow "told"\. Workflow "told" version 1 matched it for ada/)
  t.match(story.text, /Step 2 in the branch of step 1 \(push\) was sent on its way/)
  t.match(story.text, /Push to a device that is gone: attempt 1 through fcm: accepted\..*: delivered/)
  t.match(list(story.workflows), [
    { key: 'told', version: 1, outcome: 'told', detail: 'it went to inbox, push' },
  ])
  const moments = list(story.reasons).map(({ at }) => Number(at))
  t.same(
    moments,
    [...moments].sort((a, b) => a - b),
  )
})

t.test(
  'what did not match says its condition, what listens to other types is counted or listed',
  async (t) => {
    await keep('unmatched', {
      type: 'on.unmatched',
      outcome: [
        {
          workflow: 'w',
          version: 4,
          matched: false,
          reason: 'CONDITION_FALSE',
          detail: 'the condition data.city != "test" is false',
        },
      ],
    })
    const story = await why('unmatched', 'ada')
    t.match(
      story.text,
      /told ada nothing\. Workflow "w" version 4 listened and did not match: the condition data\.city != "test" is false\./,
    )
    t.match(
      story.text,
      /other workflows? that w(as|ere) in force then listens? to other types than on\.unmatched\./,
    )
    t.match(list(story.workflows), [{ outcome: 'not told', reason: 'CONDITION_FALSE' }])
    t.notOk(list(story.workflows)[0]?.computed, 'it is stored')
    t.match(list((await why('unmatched', 'ada', '&all=true')).others), [
      { key: 'told', version: 1, on: 'on.told' },
    ])
    await keep('unheard', { type: 'nobody.listens' })
    t.match((await why('unheard', 'ada')).text, /told ada nothing: no workflow that was in force listened/)
  },
)

t.test('who was not meant hears why: names, role, topic, segment, exclusion', async (t) => {
  const cases: [string, object, RegExp][] = [
    ['names', {}, /data\.customerId names "bob" and "eve", not "ada"/],
    [
      'role',
      { to: { role: 'driver' } },
      /role "driver", which ada does not hold today \(ada holds "customer"\)/,
    ],
    ['topic', { to: { topic: 'city.vienna' } }, /topic "city\.vienna", to which ada is not subscribed today/],
    [
      'segment',
      { to: { segment: 'user.attributes.plan == "pro"' } },
      /segment .* which does not hold for ada today/,
    ],
    ['exclude', { to: { everyone: true }, exclude: '"ada"' }, /"exclude" names ada, who is left out/],
    ['everyone', { to: { everyone: true } }, /everyone, and ada is among them today, but no run is kept/],
  ]
  for (const [key, written, expected] of cases) {
    await publish(key, written)
    await keep(key, { type: `on.${key}`, data: { customerId: ['bob', 'eve'] }, outcome: [matched(key)] })
    const story = await why(key, 'ada')
    t.match(story.text, expected, key)
    t.match(list(story.workflows), [
      {
        key,
        outcome: 'not told',
        reason: 'NO_RECIPIENT',
        computed: true,
        basis: /version of then; roles, topics/,
      },
    ])
    t.match(story.text, /computed now, from the kept event and the version of then/)
  }
  await keep('nobody', {
    type: 'on.names',
    outcome: [
      matched('names', { recipients: 0, reason: 'NO_RECIPIENT', detail: 'data.customerId names nobody' }),
    ],
  })
  t.match((await why('nobody', 'ada')).text, /it told nobody: data\.customerId names nobody/)
})

t.test('the version of then decides, not the one of now', async (t) => {
  await publish('moved', { to: 'data.a' })
  await keep('moved', { type: 'on.moved', data: { a: 'bob', b: 'ada' }, outcome: [matched('moved')] })
  await publish('moved', { to: 'data.b' })
  t.match(
    (await why('moved', 'ada')).text,
    /Workflow "moved" version 1 matched, but not for ada: data\.a names "bob"/,
  )
})

t.test('a trigger names its recipients itself', async (t) => {
  await keep('trigger', {
    type: 'carillon.trigger.v1',
    data: {
      workflow: 'told',
      to: [{ id: 'bob' }, { segment: 'user.attributes.plan == data.plan' }],
      data: { plan: 'pro' },
    },
    outcome: [matched('told')],
  })
  t.match(
    (await why('trigger', 'ada')).text,
    /whoever sent it names "bob", not "ada"; it is for the segment .* does not hold for ada/,
  )
})

t.test('a waiting run says what it waits for and until when; what woke it is told after', async (t) => {
  const wait = { wait: { event: 'rides.ride.paid.v1', key: 'data.rideId', for: '1h' } }
  await publish('paid', { steps: [wait, 'inbox'] })
  const event = await keep('paid', {
    type: 'on.paid',
    data: { customerId: 'ada', rideId: 'r1' },
    outcome: [matched('paid')],
  })
  const until = event.seen + 3_600_000
  const first = {
    at: event.seen,
    steps: [
      {
        step: 0,
        type: 'wait',
        outcome: 'wait',
        detail: 'waits for rides.ride.paid.v1, at most 1h',
        at: until,
      },
    ],
  }
  const id = await run(event, { workflow: 'paid', state: 'waiting', plan: [first], wakeAt: until })
  await edge.owner.query({
    text: `INSERT INTO awaits (tenant_id, type, expression, key, run_id, since)
      VALUES ('acme', 'rides.ride.paid.v1', 'data.rideId', 'r1', $1, to_timestamp($2 / 1000.0))`,
    values: [id, event.seen],
  })
  const waits = `waits for the event rides.ride.paid.v1 with the key "r1" until ${new Date(until).toISOString()}`
  t.match((await edge.call(admin, `GET /v1/notifications/${id}/explain`)).body.text, waits)
  const pending = await why('paid', 'ada')
  t.match(pending.text, /It has not told ada yet: workflow "paid" is not done/)
  t.match(list(pending.workflows), [{ outcome: 'not yet' }])

  const payment = await keep('payment', { type: 'rides.ride.paid.v1' })
  await edge.owner.query({
    text: `INSERT INTO signals (tenant_id, type, expression, key, event_id, first_seen)
      VALUES ('acme', 'rides.ride.paid.v1', 'data.rideId', 'r1', $1, to_timestamp($2 / 1000.0))`,
    values: [payment.row, payment.seen],
  })
  const inbox = { step: 1, type: 'inbox', outcome: 'deliver', detail: 'nobody switched it off' }
  const passes = [first, { at: payment.seen + 5, steps: [inbox] }]
  await edge.owner.query({
    text: `UPDATE runs SET state = 'completed', wake_at = NULL, in_inbox = true, plan = $2 WHERE id = $1`,
    values: [id, JSON.stringify(passes)],
  })
  await edge.owner.query({ text: 'DELETE FROM awaits WHERE run_id = $1', values: [id] })
  t.match(
    (await why('paid', 'ada')).text,
    /The run went on: the event rides\.ride\.paid\.v1 \(payment\) came, for which it waited\./,
  )
})

t.test('a held step says whose quiet hours hold it', async (t) => {
  await publish('held', { steps: ['push'] })
  const event = await keep('held', { type: 'on.held', outcome: [matched('held')] })
  const detail = "the person's quiet hours last until 07:00 (Europe/Vienna)"
  const id = await run(event, {
    workflow: 'held',
    state: 'waiting',
    wakeAt: event.seen + 60_000,
    plan: [
      {
        at: event.seen,
        steps: [
          { step: 0, type: 'push', outcome: 'hold', reason: 'QUIET_HOURS', detail, at: event.seen + 60_000 },
        ],
      },
    ],
  })
  const { body } = await edge.call(admin, `GET /v1/notifications/${id}/explain`)
  t.ok(text(body.text).endsWith(`Step 1 (push) is held: ${detail}.`), text(body.text))
})

t.test('a throttle and a cap are named as what decided, and the reason is data', async (t) => {
  await publish('limited', { steps: ['push'] })
  const event = await keep('limited', { type: 'on.limited', outcome: [matched('limited')] })
  const limits = [
    ['THROTTLED', 'the limit of 3 per 1h is used up', /the workflow's throttle decided: the limit of 3/],
    ['FREQUENCY_CAPPED', '5 of at most 5 per 1d have gone out', /a frequency cap decided: 5 of at most 5/],
  ] as const
  for (const [place, [reason, detail, expected]] of limits.entries()) {
    const user = `limited-${place}`
    const steps = [{ step: 0, type: 'push', outcome: 'skip', reason, detail }]
    await run(event, {
      workflow: 'limited',
      user,
      state: 'skipped',
      reason,
      plan: [{ at: event.seen, steps }],
    })
    const story = await why('limited', user)
    t.match(story.text, expected)
    t.match(list(story.workflows), [{ outcome: 'not told', reason }])
    t.match(story.text, `No user "${user}" is known to the directory today.`)
  }
})

t.test('a digest is told with what it gathered and what was left out', async (t) => {
  await publish('daily', { cancelKey: 'data.rideId', steps: [{ digest: { window: '1h' } }, 'email'] })
  const one = await keep('d1', { type: 'on.daily', data: { rideId: 'r1' }, outcome: [matched('daily')] })
  // those of one millisecond come in any order
  await eventually(() => Date.now() > one.seen)
  const other = await keep('d2', { type: 'on.daily', data: { rideId: 'r2' }, outcome: [matched('daily')] })
  const events = [one, other] as const
  const joins = {
    step: 0,
    type: 'digest',
    outcome: 'digest',
    reason: 'DIGESTED',
    detail: 'goes into the digest',
  }
  const first = events[0]
  const named = { firstSeenMs: first.seen, eventRow: first.row, workflow: 'daily' }
  const opener = runId(sha256, { ...named, recipient: userId(sha256, 'acme', 'ada') })
  const digest = digestId(sha256, { run: opener, step: 0 })
  for (const [place, event] of events.entries()) {
    await run(event, {
      workflow: 'daily',
      state: 'digested',
      reason: 'DIGESTED',
      digest,
      cancelKey: `r${place + 1}`,
      plan: [{ at: event.seen, steps: [joins] }],
    })
  }
  const gathers = {
    at: first.seen,
    steps: [
      {
        step: 0,
        type: 'digest',
        outcome: 'wait',
        detail: 'gathers until the window closes',
        at: first.seen + 3_600_000,
      },
    ],
  }
  const closes = Date.now() + 3_600_000
  await run(first, { id: digest, workflow: 'daily', state: 'waiting', wakeAt: closes, plan: [gathers] })
  const open = await why('d2', 'ada')
  t.match(open.text, `It went into the digest ${digest}`)
  t.match(open.text, `The digest is still open: it closes at ${new Date(closes).toISOString()}.`)
  t.match(list(open.workflows), [{ outcome: 'not yet' }])

  t.match(await edge.call(admin, 'POST /v1/workflows/daily/cancel', { key: 'r2' }), { status: 200 })
  const trail = await edge.stored('AUDIT', 'aud.workflows.cancelled.acme')
  const facts = trail.map(({ body }) => ({ factId: body, fact: body }))
  await edge.owner.inTenant('acme', (tx) => appendAudit(tx, 'acme', facts))
  const email = {
    step: 1,
    type: 'email',
    outcome: 'skip',
    reason: 'NO_ADDRESS',
    detail: 'the recipient has no e-mail address',
  }
  await edge.owner.query({
    text: `UPDATE runs SET state = 'skipped', reason = 'NO_ADDRESS', wake_at = NULL, plan = $2 WHERE id = $1`,
    values: [digest, JSON.stringify([gathers, { at: Date.now() + 1_000, steps: [email] }])],
  })
  const closed = await why('d1', 'ada')
  t.match(
    closed.text,
    /A digest of workflow "daily" version 1 opened for ada: the event on\.daily \(d1\) was its first\./,
  )
  t.match(closed.text, /The digest gathered 2 items: d1, d2; 1 of them is told\./)
  t.match(closed.text, /The item d2 is left out of the digest: it was cancelled with the key "r2" at /)
  t.match(
    closed.text,
    /The run went on: the window of the digest closed\. Step 2 \(email\) was skipped: the recipient has no e-mail/,
  )
  t.match(list(closed.workflows), [
    { outcome: 'not told', reason: 'NO_ADDRESS', detail: /^it went into a digest: / },
  ])
  t.equal(list(closed.runs).length, 1, 'the digest is told within the story of its item')
  t.match((await why('d2', 'ada')).text, /A cancel came: the API key .+ cancelled the key "r2"\./)
})

t.test(
  'a large audience that is still being told says whether the part of this person is done',
  async (t) => {
    await publish('wide', { to: { everyone: true } })
    const event = await keep('wide', {
      type: 'on.wide',
      outcome: [matched('wide', { recipients: undefined, fanout: { chunks: 2, estimated: 900 } })],
    })
    await edge.owner.query({
      text: `INSERT INTO fanouts (event_id, tenant_id, workflow_key, workflow_version, lane, chunks, due_at, created_at)
      VALUES ($1, 'acme', 'wide', 1, 'normal', 2, now(), now())`,
      values: [event.row],
    })
    const own = Number.parseInt(userId(sha256, 'acme', 'ada')[0] ?? '', 16) < 8 ? 0 : 1
    const done = (chunk: number) =>
      edge.owner.query({
        text: `INSERT INTO fanout_chunks (event_id, workflow_key, chunk, tenant_id, runs, done_at) VALUES ($1, 'wide', $2, 'acme', 1, now())`,
        values: [event.row, chunk],
      })
    await done(1 - own)
    const open = await why('wide', 'ada')
    t.match(open.text, /told in 2 parts, of which 1 is done; the part with ada is not done yet/)
    t.match(list(open.workflows), [{ outcome: 'not yet' }])
    await done(own)
    t.match((await why('wide', 'ada')).text, /but no run is kept/)
  },
)

t.test('what is not known says what may have happened, what is dead says why', async (t) => {
  const ask = (path: string) => edge.call(admin, `GET /v1/events/${path}`)
  t.match(await ask('never/explain?user=ada'), {
    status: 404,
    body: {
      code: 'EVENT_UNKNOWN',
      detail: /\?source=.*never accepted.*older than what is kept.*dead letters/,
    },
  })
  t.match(await ask('never/explain?source=/rides'), {
    status: 404,
    body: { detail: /Id and source must be/ },
  })
  const { row } = await keep('gone')
  await edge.owner.query({ text: 'DELETE FROM events WHERE id = $1', values: [row] })
  t.match(await ask('gone/explain?source=/rides'), {
    status: 404,
    body: { detail: /was accepted .* kept no more/ },
  })
  await keep('dead', { outcome: [{ problem: 'There is no published workflow "nope".' }] })
  t.match(await why('dead', 'ada'), {
    problem: 'There is no published workflow "nope".',
    text: /stands among the dead letters: There is no published workflow "nope"\./,
  })
  t.match((await ask('dead/explain?source=/rides')).body.text, /dead letters: There is no published workflow/)
})

t.test('somebody unknown is said to be unknown, with whom the event named', async (t) => {
  t.match(
    (await why('names', 'adaa')).text,
    /No user "adaa" is known to the directory today\. The event names "bob" and "eve"\./,
  )
})

t.test('without a person the event is told as a whole', async (t) => {
  const { body } = await edge.call(admin, `GET /v1/events/told/explain?source=${SOURCE}`)
  t.match(body, {
    text: /Workflow "told" version 1 matched; of its runs 1 completed\./,
    workflows: [{ workflow: 'told', runs: [{ state: 'completed', count: 1 }] }],
    counted: { runs: 1, complete: true },
    runs: [{ text: /ada/ }],
  })
})

t.test('a person hears their own story and nothing of others', async (t) => {
  const tokenOf = async (user: string) =>
    text((await edge.call(admin, `POST /v1/users/${user}/token`, {})).body.token)
  const [ada, carl] = [await tokenOf('ada'), await tokenOf('carl')]
  const told = await edge.call(ada, `GET /v1/events/told/explain?source=${SOURCE}`)
  t.match(told, { status: 200, body: { user: 'ada', text: /It told ada/, others: 0 } })
  t.notMatch(JSON.stringify(told.body), /"data":/, 'not what the event carried')
  t.notMatch((await edge.call(ada, `GET /v1/events/d2/explain?source=${SOURCE}`)).body.text, /API key/)
  t.equal((await edge.call(ada, `GET /v1/events/told/explain?source=${SOURCE}&user=carl`)).status, 403)
  t.equal((await edge.call(carl, `GET /v1/events/told/explain?source=${SOURCE}`)).status, 404)
  t.equal((await edge.call(stranger, `GET /v1/events/told/explain?source=${SOURCE}&user=ada`)).status, 404)
  const weak = await edge.key('acme', 'users:read')
  t.equal((await edge.call(weak, `GET /v1/events/told/explain?source=${SOURCE}`)).status, 403)
})
