import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventSubject } from '@carillon/contracts'
import { type EngineServer, type NatsServer, startNats, startPostgres } from '@carillon/engines'
import {
  ApiError,
  applyTopology,
  createPublisher,
  openConnection,
  type Publisher,
  readSubject,
} from '@carillon/jetstream'
import { openDatabase } from '@carillon/postgres'
import { type CarillonClient, connectHttp } from '@carillon/sdk'
import { eventually, type LoopImage, useLoopImage } from '@carillon/testkit'
import t, { type Test } from 'tap'
import { readTopology } from '../src/mesh/topology-files.js'
import { attempt, compare, createJournal, type Journal } from './journal.js'
import { edgeOf, runCli, startUp } from './support.js'
import { quiet, wholeInbox } from './world.js'

const TENANT = 'demo'
const TYPE = 'demo.power.v1'
const WORKFLOW = `
key: power
on: ${TYPE}
to: data.userId
content: { title: "Power {{ data.n }}", body: "x" }
steps: [inbox]
`
const SUBJECT = eventSubject('normal', TENANT, TYPE)
/** Acknowledged before the power goes; the load goes on meanwhile. */
const ENOUGH = 200

t.test('after a power cut everything acknowledged is there, and the mesh starts again', async (t) => {
  const image = await useLoopImage(t, { megabytes: 1024 })
  if (image === undefined) return
  const directory = join(image.folder, 'mesh')
  const engines = await startEngines(t, image)
  const mesh = await startUp(t, { directory, env: engines.env })
  const { carillon } = await edgeOf(directory)
  await carillon.putWorkflow(WORKFLOW, 'power')

  const load = await startLoad(t, { natsUrl: engines.nats.url, carillon: await impatientClient(directory) })
  await enough(load, ['nats', 'http'])
  const copy = await cutPower(image, engines.all)
  mesh.kill('SIGKILL')
  await mesh.exited
  const { journal } = await load.stop()

  const revived = await startEngines(t, copy, engines)
  const kept = join(copy.folder, 'mesh')
  const again = await runCli(t, ['up', '--once'], { directory: kept, env: revived.env })
  t.equal(again.code, 0, again.stderr)
  await startUp(t, { directory: kept, env: revived.env })
  const connection = await openConnection({ servers: revived.nats.url, name: 'test' })
  const owner = openDatabase({ url: revived.env.DATABASE_OWNER_URL, max: 1 })
  t.teardown(async () => {
    await connection[Symbol.asyncDispose]()
    await owner[Symbol.asyncDispose]()
  })
  const rows = async <R>(text: string) => (await owner.query<R>({ text, values: [] })).rows
  await quiet({ connection, rows })

  const stored = await rows<{ id: string; runs: number }>(
    `SELECT e.event_id AS id, count(r.id)::int AS runs FROM events e LEFT JOIN runs r ON r.event_id = e.id
     WHERE e.type = '${TYPE}' GROUP BY e.id, e.event_id`,
  )
  const { recovered, ...difference } = compare(
    journal,
    stored.map(({ id }) => id),
  )
  const { attempted, acknowledged } = journal
  t.comment(
    `${attempted.size} attempted, ${acknowledged.size} acknowledged, ${recovered} unknown ones are there`,
  )
  t.ok(
    [...acknowledged].some((id) => id.startsWith('http')),
    'the edge answered 202',
  )
  t.same(difference, { lost: [], unexpected: [], doubled: [] })
  t.same(
    stored.filter(({ runs }) => runs !== 1),
    [],
    'each with its run',
  )
  const titles = (await inboxTitles(kept)).filter((title) => title.startsWith('Power'))
  t.equal(titles.length, stored.length, 'the inbox shows all')
  t.equal(new Set(titles).size, titles.length, 'and none twice')
})

t.test('a power cut shows when the broker does not sync', async (t) => {
  const image = await useLoopImage(t, { megabytes: 128 })
  if (image === undefined) return
  for (const { syncInterval, loses } of [
    { syncInterval: 'always', loses: false },
    { syncInterval: '2m', loses: true },
  ]) {
    const dataDir = `nats-${syncInterval}`
    const options = { maxStore: '20G', syncInterval }
    const nats = await startNats({ ...options, dataDir: join(image.folder, dataDir) })
    t.teardown(() => nats.stop())
    const setup = await openConnection({ servers: nats.url, name: 'test' })
    await applyTopology(setup, await readTopology('single'))
    await setup[Symbol.asyncDispose]()
    const load = await startLoad(t, { natsUrl: nats.url })
    await enough(load, ['nats'])
    const copy = await cutPower(image, [nats])
    const { journal } = await load.stop()

    const revived = await startNats({ ...options, dataDir: join(copy.folder, dataDir) })
    t.teardown(() => revived.stop())
    const { lost, unexpected } = compare(journal, await storedIn(revived))
    t.comment(`${syncInterval}: ${lost.length} of ${journal.acknowledged.size} acknowledged events are lost`)
    t.equal(lost.length > 0, loses, `${syncInterval} ${loses ? 'loses' : 'keeps'} what it acknowledged`)
    t.same(unexpected, [])
    await revived.stop()
  }
})

interface DurableEngines {
  nats: NatsServer
  postgres: EngineServer
  all: EngineServer[]
  env: { NATS_URL: string; DATABASE_OWNER_URL: string }
}

/** NATS and PostgreSQL as `carillon up` has them, with their data on the image; on the ports of `before`, if any. */
async function startEngines(t: Test, image: LoopImage, before?: DurableEngines): Promise<DurableEngines> {
  const port = (engine: EngineServer | undefined) => (engine === undefined ? {} : { port: engine.port })
  const nats = await startNats({
    dataDir: join(image.folder, 'nats'),
    maxStore: '20G',
    ...port(before?.nats),
  })
  t.teardown(() => nats.stop())
  const postgres = await startPostgres({
    dataDir: join(image.folder, 'postgres'),
    settings: { max_connections: '60', shared_buffers: '64MB' },
    ...port(before?.postgres),
  })
  t.teardown(() => postgres.stop())
  return {
    nats,
    postgres,
    all: [nats, postgres],
    env: { NATS_URL: nats.url, DATABASE_OWNER_URL: postgres.url },
  }
}

/** All processes of the engines stand still while the image is copied, and never go on. */
async function cutPower(image: LoopImage, engines: readonly EngineServer[]): Promise<LoopImage> {
  for (const engine of engines) {
    // the parent first, so that it starts no child after we looked
    await engine.kill('SIGSTOP')
    for (const child of await childrenOf(engine.pid)) process.kill(child, 'SIGSTOP')
  }
  const copy = await image.cutPower()
  for (const engine of engines) {
    for (const child of await childrenOf(engine.pid)) process.kill(child, 'SIGKILL')
    await engine.kill()
  }
  return copy
}

async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return text.split(' ').filter(Boolean).map(Number)
}

interface Load {
  stop(): Promise<{ journal: Journal }>
  journal: Journal
}

/** Resolves once the power may go: events were acknowledged, and by each of the ways. */
async function enough({ journal: { acknowledged } }: Load, ways: readonly string[]): Promise<void> {
  await eventually(
    () =>
      acknowledged.size >= ENOUGH &&
      ways.every((way) => [...acknowledged].some((id) => id.startsWith(`${way}-`))),
    { timeoutMs: 120_000 },
  )
}

/** Keeps a few sends on their way all the time, straight to the broker and, with a client, over HTTP. */
async function startLoad(t: Test, target: { natsUrl: string; carillon?: CarillonClient }): Promise<Load> {
  const connection = await openConnection({ servers: target.natsUrl, name: 'load' })
  const publisher = createPublisher(connection, { giveUpMs: 1_000, timeoutMs: 1_000 })
  const journal = createJournal()
  const stopping = new AbortController()
  const lane = async (name: string, send: (id: string) => Promise<unknown>) => {
    for (let n = 0; !stopping.signal.aborted; n++) {
      const id = `${name}-${n}`
      // also before the power goes a disk that is busy may keep the broker from answering in time
      if (!(await attempt(journal, id, () => send(id)))) await sleep(100)
    }
  }
  const names = ['a', 'b', 'c', 'd']
  const lanes = names.map((name) => lane(`nats-${name}`, (id) => publish(publisher, id)))
  const { carillon } = target
  if (carillon !== undefined)
    lanes.push(...names.map((name) => lane(`http-${name}`, (id) => post(carillon, id))))
  const stop = async () => {
    stopping.abort()
    await Promise.all(lanes)
    await publisher[Symbol.asyncDispose]()
    await connection[Symbol.asyncDispose]()
    return { journal }
  }
  t.teardown(stop)
  return { journal, stop }
}

const dataOf = (id: string) => ({ userId: 'ada', n: id })

function publish(publisher: Publisher, id: string): Promise<unknown> {
  return publisher.publish('EVENTS', {
    subject: SUBJECT,
    headers: { 'ce-specversion': '1.0', 'ce-id': id, 'ce-source': '/test', 'ce-type': TYPE },
    body: JSON.stringify(dataOf(id)),
  })
}

function post(carillon: CarillonClient, id: string): Promise<unknown> {
  const event = { specversion: '1.0', id, source: '/test', type: TYPE, data: dataOf(id) }
  return carillon.call('POST', '/v1/events', event, { 'content-type': 'application/cloudevents+json' })
}

async function storedIn(nats: NatsServer): Promise<string[]> {
  const connection = await openConnection({ servers: nats.url, name: 'test' })
  try {
    const read = { stream: 'EVENTS', subject: SUBJECT, fromSequence: 1, limit: 10_000 }
    return (await readSubject(connection, read)).map(({ headers }) => headers.get('ce-id') ?? '')
  } catch (error) {
    // the stream itself may be among what is lost
    if (error instanceof ApiError && error.code === 'UNAVAILABLE') return []
    throw error
  } finally {
    await connection[Symbol.asyncDispose]()
  }
}

async function inboxTitles(directory: string): Promise<string[]> {
  const { url, carillon } = await edgeOf(directory)
  const { token } = await carillon.userToken('ada')
  return (await wholeInbox(url, token)).map(({ title }) => title)
}

/** A client that tries once, so that what stands in the journal is that request's own answer. */
async function impatientClient(directory: string): Promise<CarillonClient> {
  const { apiKey } = JSON.parse(await readFile(join(directory, 'keys.json'), 'utf8')) as { apiKey: string }
  const { url } = await edgeOf(directory)
  return connectHttp({ url, apiKey, source: '/test', retry: { attempts: 1, baseMs: 0, maxMs: 0 } })
}
