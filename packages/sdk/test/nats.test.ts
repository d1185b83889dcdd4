import { eventSubject, STREAMS } from '@carillon/contracts'
import { eventually, useNats } from '@carillon/testkit'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import t from 'tap'
import { connectNats } from '../src/index.js'

t.test('publishes in the binary binding, says when NATS is away, and recovers', async (t) => {
  const server = await useNats(t)
  const raw = await connect({ servers: server.url, maxReconnectAttempts: -1 })
  t.teardown(() => raw.close())
  const manager = await jetstreamManager(raw)
  const subject = eventSubject('normal', 'acme', 'rides.ride.paid.v1')
  await manager.streams.add({ name: STREAMS.events, subjects: [subject] })
  const publisher = await connectNats({
    servers: server.url,
    tenant: 'acme',
    source: '/services/test',
    timeoutMs: 500,
    retry: { attempts: 3, baseMs: 1, maxMs: 10 },
  })
  t.teardown(() => publisher[Symbol.asyncDispose]())
  const event = { type: 'rides.ride.paid.v1', id: 'r1.paid', data: { rideId: 'r1' } }

  // no answer in its short time is said too: it is sent again
  await eventually(() => publisher.publish({ ...event, subject: 'Zürich 100%' }))
  const stored = await manager.streams.getMessage(STREAMS.events, { seq: 1 })
  t.equal(stored?.subject, subject)
  t.strictSame(stored?.json(), event.data)
  t.equal(stored?.header.get('ce-id'), 'r1.paid')
  t.equal(stored?.header.get('ce-specversion'), '1.0')
  t.equal(stored?.header.get('ce-type'), event.type)
  t.equal(stored?.header.get('ce-source'), '/services/test')
  t.equal(stored?.header.get('ce-subject'), 'Z%C3%BCrich%20100%25')

  await t.rejects(publisher.publish({ ...event, type: '' }), { name: 'ContractError' })

  await server.kill()
  await t.rejects(publisher.publish({ ...event, id: 'r2.paid' }), {
    failure: 'unavailable',
    code: 'NOT_STORED',
  })
  await server.restart()
  await eventually(() => publisher.publish({ ...event, id: 'r2.paid' }))
  // the reader's connection comes back in its own time
  const last = await eventually(() => manager.streams.getMessage(STREAMS.events, { last_by_subj: subject }))
  t.equal(last?.header.get('ce-id'), 'r2.paid')
})
