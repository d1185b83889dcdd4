import t from 'tap'
import { dispatched, eventMessage, TENANT, useMesh } from './support.js'

t.test('events become explained runs, jobs and frames', async (t) => {
  const mesh = await useMesh(t)
  await mesh.putWorkflow({
    key: 'ride-accepted',
    on: 'rides.ride.accepted.v1',
    if: 'data.city != "test"',
    to: 'data.customerId',
    content: { title: '{{ data.driver }} is on the way', body: '{{ data.minutes }} min' },
    locales: { de: { title: '{{ data.driver }} ist unterwegs' } },
    steps: ['inbox', 'push', 'email'],
  })
  const ada = await mesh.putUser('ada', { email: 'ada@example.com', locale: 'de-AT' })
  await mesh.putDevice(ada)
  await mesh.putDevice(ada)
  await mesh.startDispatcher()
  const data = { customerId: 'ada', driver: 'Mira', minutes: 4, city: 'vienna' }

  await t.test('one event rings every channel once, in the words of the reader', async (t) => {
    await mesh.publish({ type: 'rides.ride.accepted.v1', id: 'e1', data })
    await dispatched(mesh)
    const runs = await mesh.rows<{ state: string; content: { inbox: { title: string } }; plan: unknown[] }>(
      'SELECT * FROM runs',
    )
    t.equal(runs.length, 1)
    t.match(runs[0], {
      state: 'completed',
      content: { inbox: { title: 'Mira ist unterwegs', body: '4 min' } },
    })
    t.equal((await mesh.jobs('push')).length, 2)
    t.equal((await mesh.jobs('email')).length, 1)
    t.match(await mesh.frames(ada), [
      { type: 'notification.created', notification: { title: 'Mira ist unterwegs' } },
    ])
    t.match(await mesh.rows('SELECT outcome FROM events'), [
      { outcome: [{ workflow: 'ride-accepted', matched: true, recipients: 1 }] },
    ])
  })

  await t.test(
    'the same event again changes nothing; the same id from another source is another event',
    async (t) => {
      await mesh.publish(
        { type: 'rides.ride.accepted.v1', id: 'e1', data },
        { type: 'rides.ride.accepted.v1', id: 'e1', data },
      )
      await mesh.publish({ type: 'rides.ride.accepted.v1', id: 'e1', source: '/other', data })
      await dispatched(mesh)
      t.equal((await mesh.rows('SELECT id FROM runs')).length, 2)
      t.equal((await mesh.frames(ada)).length, 2)
    },
  )

  await t.test('fifty copies in one publish window are one event', async (t) => {
    const copy = eventMessage({ type: 'rides.ride.accepted.v1', id: 'e50', data })
    await mesh.publisher.publishAll(
      'EVENTS',
      Array.from({ length: 50 }, () => copy),
    )
    await dispatched(mesh)
    t.equal((await mesh.rows(`SELECT id FROM events WHERE event_id = 'e50'`)).length, 1)
    t.equal((await mesh.frames(ada)).length, 3)
  })

  await t.test('an event after the duplicate window of the stream rings nobody again', async (t) => {
    // as if the first pass had been ten minutes ago and both windows had passed
    await mesh.rows(`UPDATE runs SET created_at = created_at - interval '10 minutes'`)
    await mesh.publish({ type: 'rides.ride.accepted.v1', id: 'e1', data })
    await dispatched(mesh)
    t.equal((await mesh.frames(ada)).length, 3)
    t.equal((await mesh.rows('SELECT id FROM runs')).length, 3)
  })

  await t.test('a condition that is false is stored as the reason', async (t) => {
    await mesh.publish({ type: 'rides.ride.accepted.v1', id: 'e2', data: { ...data, city: 'test' } })
    await mesh.publish({ type: 'rides.ride.accepted.v1', id: 'e3', data: { customerId: 'ada' } })
    await dispatched(mesh)
    const outcomes = await mesh.rows(
      `SELECT outcome FROM events WHERE event_id IN ('e2', 'e3') ORDER BY event_id`,
    )
    t.match(outcomes, [
      { outcome: [{ matched: false, reason: 'CONDITION_FALSE', detail: /is false/ }] },
      { outcome: [{ matched: false, reason: 'CONDITION_FALSE', detail: /No such key: city/ }] },
    ])
  })

  await t.test('a recipient nobody knows has a run that says so', async (t) => {
    await mesh.publish({ type: 'rides.ride.accepted.v1', id: 'e4', data: { ...data, customerId: 'ghost' } })
    await dispatched(mesh)
    t.match(await mesh.rows(`SELECT * FROM runs WHERE recipient = 'ghost'`), [
      { state: 'skipped', reason: 'NO_RECIPIENT', user_id: null, in_inbox: false },
    ])
  })

  await t.test('poison becomes a dead letter with its reason and delays nobody behind it', async (t) => {
    await mesh.publisher.publishAll('EVENTS', [
      { subject: `evt.normal.${TENANT}.rides.ride.accepted.v1`, body: '{broken', headers: {} },
      { ...eventMessage({ type: 'x', id: 'p2' }), headers: { 'ce-specversion': '0.3', 'ce-type': 'x' } },
      eventMessage({ type: 'rides.ride.accepted.v1', id: 'p3', tenant: 'nobody', data }),
      eventMessage({ type: 'rides.ride.accepted.v1', id: 'p4', data: { customerId: 'ada', city: 'x' } }),
      eventMessage({
        type: 'rides.ride.accepted.v1',
        id: 'p5',
        data: { ...data, driver: 'nul\u0000l \ud800' },
      }),
      eventMessage({ type: 'rides.ride.accepted.v1', id: 'p6', data }),
    ])
    await dispatched(mesh)
    const reasons = (await mesh.deadLetters()).map((letter) => letter.reason)
    t.match(reasons.join('\n'), /not valid JSON/)
    t.match(reasons.join('\n'), /specversion/)
    t.match(reasons.join('\n'), /tenant "nobody" is not known/)
    t.match(reasons.join('\n'), /title needs data\.driver/)
    t.equal(reasons.length, 4)
    t.equal((await mesh.rows(`SELECT id FROM events WHERE event_id = 'p6'`)).length, 1)
    t.match(
      await mesh.rows(
        `SELECT r.state, r.reason FROM runs r JOIN events e ON e.id = r.event_id WHERE e.event_id = 'p4'`,
      ),
      [{ state: 'failed', reason: 'PAYLOAD_INVALID' }],
    )
    t.match(
      await mesh.rows(
        `SELECT r.content FROM runs r JOIN events e ON e.id = r.event_id WHERE e.event_id = 'p5'`,
      ),
      [{ content: { inbox: { title: 'null \ufffd ist unterwegs' } } }],
    )
  })

  await t.test('plain JSON on a subject is an event', async (t) => {
    await mesh.publisher.publish('EVENTS', {
      subject: `evt.normal.${TENANT}.rides.ride.accepted.v1`,
      body: JSON.stringify(data),
    })
    await dispatched(mesh)
    t.equal((await mesh.rows(`SELECT id FROM events WHERE source = 'nats:EVENTS'`)).length, 1)
  })
})

t.test('triggers, direct notifications and groups', async (t) => {
  const mesh = await useMesh(t)
  await mesh.putWorkflow({
    key: 'hello',
    on: 'demo.hello.v1',
    to: 'data.userId',
    content: { title: 'Hello {{ data.name }}', body: 'x' },
    steps: ['inbox', 'email'],
  })
  await mesh.putWorkflow({
    key: 'for-drivers',
    on: 'rides.ride.requested.v1',
    to: { role: 'driver' },
    content: { title: 'A ride', body: 'x' },
    steps: ['inbox'],
  })
  await mesh.startDispatcher()

  await t.test('a trigger begins one workflow for people identified on the way', async (t) => {
    await mesh.publish({
      type: 'carillon.trigger.v1',
      id: 't1',
      data: { workflow: 'hello', to: [{ id: 'bo', email: 'bo@example.com' }], data: { name: 'Bo' } },
    })
    await dispatched(mesh)
    t.match(await mesh.rows('SELECT state, content FROM runs'), [
      { state: 'completed', content: { inbox: { title: 'Hello Bo' } } },
    ])
    t.match(await mesh.rows('SELECT external_id, email FROM users'), [
      { external_id: 'bo', email: 'bo@example.com' },
    ])
    t.equal((await mesh.jobs('email')).length, 1)
  })

  await t.test('a direct notification takes its texts as they are', async (t) => {
    await mesh.publish({
      type: 'carillon.notification.v1',
      id: 'd1',
      data: { to: ['bo'], content: { title: '{{ 1 | plus: 1 }}', body: 'hi' }, data: { rideId: 'r1' } },
    })
    await dispatched(mesh)
    t.match(await mesh.rows(`SELECT content FROM runs WHERE workflow_key = 'direct'`), [
      { content: { inbox: { title: '{{ 1 | plus: 1 }}', data: { rideId: 'r1' } } } },
    ])
  })

  await t.test('a role reaches everybody who holds it', async (t) => {
    await mesh.putUser('d1', { roles: ['driver'] })
    await mesh.putUser('d2', { roles: ['driver', 'customer'] })
    await mesh.publish({ type: 'rides.ride.requested.v1', id: 'r1', data: {} })
    await dispatched(mesh)
    t.strictSame(
      await mesh.rows(
        `SELECT recipient FROM runs WHERE workflow_key = 'for-drivers' AND state = 'completed' ORDER BY recipient`,
      ),
      [{ recipient: 'd1' }, { recipient: 'd2' }],
      'named as their services know them',
    )
  })

  await t.test('a trigger for a workflow that does not exist is a dead letter', async (t) => {
    await mesh.publish({ type: 'carillon.trigger.v1', id: 't2', data: { workflow: 'nope', to: 'bo' } })
    await dispatched(mesh)
    t.match((await mesh.deadLetters()).map((letter) => letter.reason).join(), /no published workflow "nope"/)
  })
})
