import { readFile } from 'node:fs/promises'
import t from 'tap'
import {
  applyTopology,
  assertTopology,
  driftTopology,
  loadTopology,
  planTopology,
  renderTopology,
} from '../src/index.js'
import { connectTo, createDurable, createStream, js, startNats } from './support.js'

const folder = new URL('../../../../nats/', import.meta.url)
const text = await readFile(new URL('topology.yaml', folder), 'utf8')
const single = await readFile(new URL('environments/single.yaml', folder), 'utf8')
const cluster = await readFile(new URL('environments/cluster.yaml', folder), 'utf8')
const topology = loadTopology(text, [single])

const nats = await startNats(t)
const connection = await connectTo(t, nats.url)
type Info = { config: Record<string, unknown> }
const streamInfo = (name: string): Promise<Info> => js<Info>(connection, `STREAM.INFO.${name}`)

t.test('before it is applied a role is told what is missing and which command makes it', async (t) => {
  const needed = { streams: ['EVENTS'], durables: [{ stream: 'EVENTS', durable: 'dispatcher-high' }] }
  await t.rejects(assertTopology(connection, needed), {
    code: 'MISSING',
    problems: [
      'The durable dispatcher-high on EVENTS is missing.',
      'The stream EVENTS is missing.',
      'Run: carillon topology apply',
    ],
  })
})

t.test('a fresh apply makes every stream and durable, and leaves nothing to plan', async (t) => {
  const planned = await planTopology(connection, topology)
  t.ok(planned.every(({ change }) => change === 'create'))
  t.equal((await applyTopology(connection, topology)).length, planned.length)
  t.same(await planTopology(connection, topology), [])
  t.same(await applyTopology(connection, topology), [])
  await t.resolves(
    assertTopology(connection, {
      streams: ['LIVE', 'JOBS_FANOUT'],
      durables: [{ stream: 'JOBS_PUSH', durable: 'push-bulk' }],
    }),
  )
})

t.test('LIVE republishes, job streams refuse per subject, audit can not be purged', async (t) => {
  t.match((await streamInfo('LIVE')).config, {
    persist_mode: 'async',
    max_msgs_per_subject: 200,
    republish: { src: 'rt.>', dest: 'live.>' },
    allow_direct: true,
  })
  t.match((await streamInfo('JOBS_SMS')).config, {
    retention: 'workqueue',
    discard: 'new',
    discard_new_per_subject: true,
    subjects: ['job.sms.>'],
    max_age: 48 * 3600 * 1e9,
  })
  t.match((await streamInfo('AUDIT')).config, { deny_purge: true, deny_delete: true })
})

t.test('a server changed by hand is reported setting by setting and mended', async (t) => {
  const { config } = await streamInfo('EVENTS')
  await js(connection, 'STREAM.UPDATE.EVENTS', { ...config, max_age: 3600e9, description: 'by hand' })
  await createDurable(connection, 'AUDIT', 'audit', { max_ack_pending: 7, ack_wait: 60e9, max_deliver: 20 })
  await js(connection, 'CONSUMER.DELETE.RECEIPTS.history')
  const drift = await driftTopology(connection, topology)
  t.match(drift, [
    {
      change: 'update',
      name: 'EVENTS',
      differences: [
        { setting: 'description', from: 'by hand', to: undefined },
        { setting: 'max_age', from: 3600e9, to: 7 * 24 * 3600e9 },
      ],
    },
    { change: 'create', name: 'RECEIPTS/history' },
    { change: 'update', name: 'AUDIT/audit' },
  ])
  await applyTopology(connection, topology)
  t.same(await driftTopology(connection, topology), [])
  t.notOk((await streamInfo('EVENTS')).config.description)
})

t.test('an immutable change is refused with a remedy before anything else is changed', async (t) => {
  const changed = loadTopology(text, [
    single,
    'streams: { LIVE: { storage: memory, persist_mode: default }, EVENTS: { max_age: 1d } }',
  ])
  const rows = await planTopology(connection, changed)
  t.match(
    rows.find(({ name }) => name === 'LIVE'),
    { change: 'immutable', remedy: /new stream/ },
  )
  await t.rejects(applyTopology(connection, changed), { code: 'IMMUTABLE', message: /storage/ })
  t.equal((await streamInfo('EVENTS')).config.max_age, 7 * 24 * 3600e9, 'EVENTS is as it was')
})

t.test('what belongs to somebody else is named and left alone, also with prune', async (t) => {
  await createStream(connection, 'THEIRS', { subjects: ['theirs.>'] })
  await createDurable(connection, 'EVENTS', 'their-worker', { filter_subject: 'evt.normal.>' })
  const rows = await planTopology(connection, topology)
  t.same(
    rows.map(({ change, name }) => `${change} ${name}`),
    ['foreign EVENTS/their-worker', 'foreign THEIRS'],
  )
  t.same(await driftTopology(connection, topology), [], 'it is no drift')
  await applyTopology(connection, topology, { prune: true })
  await t.resolves(streamInfo('THEIRS'))
})

t.test('what is ours and no longer in the file is deleted by prune only', async (t) => {
  const extra = `${text}\n  OLD:\n    subjects: ["old.>"]\n    consumers: { w: {} }\n`
  await applyTopology(connection, loadTopology(extra, [single]))
  t.match(await driftTopology(connection, topology), [{ change: 'orphan', name: 'OLD' }])
  await applyTopology(connection, topology)
  await t.resolves(streamInfo('OLD'), 'kept without prune')
  await applyTopology(connection, topology, { prune: true })
  await t.rejects(streamInfo('OLD'), { code: 'NOT_FOUND' })
})

t.test('a wrong file names everything that is wrong at once', (t) => {
  const wrong =
    'streams:\n  A b: { max_age: 3x, foo: 1 }\n  C: { subjects: [], retention: y, consumers: { w: { ack_wait: 5 } } }\nbar: 1'
  t.throws(() => loadTopology(wrong, ['streams: { D: {} }']), {
    code: 'INVALID',
    problems: [
      'topology: "bar" is not known here.',
      'overlay 1: there is no stream D in the topology.',
      'streams.A b: a stream\'s name has letters, digits, "_" and "-".',
      'streams.A b.max_age must be a duration such as "30s" or "7d".',
      'streams.A b.foo is not a known setting.',
      'streams.A b: "subjects" is missing.',
      'streams.C.subjects must be a list of texts.',
      'streams.C.retention must be one of limits, workqueue, interest.',
      'streams.C.consumers.w.ack_wait must be a duration such as "30s" or "7d".',
    ],
  })
  t.throws(() => loadTopology(': : :'), { code: 'INVALID' })
  t.end()
})

t.test('a cluster keeps three copies of everything but LIVE', (t) => {
  const replicas = loadTopology(text, [cluster]).streams.map(({ name, config }) => [
    name,
    config.num_replicas,
  ])
  t.same(
    replicas.filter(([, count]) => count !== 3),
    [['LIVE', 1]],
  )
  t.end()
})

t.test('renders permissions and Kubernetes resources', (t) => {
  const permissions = renderTopology(topology, 'permissions')
  t.match(permissions, /nkey: \$NKEY_DELIVERY_PUSH/)
  t.match(permissions, /"\$JS\.API\.CONSUMER\.MSG\.NEXT\.JOBS_PUSH\.push-high"/)
  t.match(renderTopology(topology, 'nack'), /kind: Stream\nmetadata:\n {2}name: jobs-push/)
  t.end()
})
