import { once } from 'node:events'
import { appendFile, open, readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import t from 'tap'
import {
  eventually,
  failOnLeaks,
  NeverHappened,
  type TestScope,
  useChromium,
  useLoopImage,
  useNats,
  useNatsCluster,
  useNodeProcess,
  usePostgres,
  useRedis,
} from '../src/index.js'

/** A test inside the test, to see what happens when it ends. */
function scope(): TestScope & { end(): Promise<void> } {
  const closers: (() => unknown)[] = []
  return {
    teardown: (close) => closers.unshift(close),
    end: async () => {
      for (const close of closers) await close()
    },
  }
}

async function query(url: string, text: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await client.query(text)
  } finally {
    await client.end()
  }
}

t.test('eventually gives what it waited for, and says what it saw last when it gives up', async (t) => {
  let looks = 0
  const seen = await eventually(() => (++looks < 3 ? undefined : `look ${looks}`), { everyMs: 1 })
  t.equal(seen, 'look 3')
  const failure = new Error('no rows yet')
  const waiting = eventually(() => Promise.reject(failure), { timeoutMs: 20, everyMs: 1 })
  const error = await waiting.catch((reason: unknown) => reason)
  t.ok(error instanceof NeverHappened && error.cause === failure && /no rows yet/.test(error.message))
})

t.test('a server left open fails the test, a closed one does not', async (t) => {
  const inner = scope()
  failOnLeaks(inner)
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  await t.rejects(inner.end(), /left open: 1 TCPServerWrap/)
  server.close()
  await once(server, 'close')
  await inner.end()
})

t.test('each test gets a database of its own, and the template is migrated once for all', async (t) => {
  let migrations = 0
  const migrate = async (url: string) => {
    migrations += 1
    await query(url, 'CREATE TABLE rides (id int PRIMARY KEY)')
  }
  const first = await usePostgres(t, { settings: { fsync: 'off' }, migrate, template: 'rides' })
  process.env.CARILLON_TEST_POSTGRES_URL = first.server?.url
  t.teardown(() => delete process.env.CARILLON_TEST_POSTGRES_URL)
  const others = await Promise.all([1, 2, 3].map(() => usePostgres(t, { migrate, template: 'rides' })))
  t.equal(migrations, 1)
  await query(first.url, 'INSERT INTO rides VALUES (1)')
  for (const { url, server } of others) {
    t.equal(server, undefined)
    t.equal((await query(url, 'SELECT * FROM rides')).rowCount, 0)
  }
  t.test('a connection left open fails the test', async (t) => {
    const inner = scope()
    const database = await usePostgres(inner)
    const client = new pg.Client({ connectionString: database.url, application_name: 'careless' })
    client.on('error', () => undefined)
    await client.connect()
    await t.rejects(inner.end(), /1 connections to test_\w+ were left open \(careless/)
    await client.end()
  })
})

t.test('engines of a test end with it', async (t) => {
  const inner = scope()
  const [nats, redis] = await Promise.all([useNats(inner), useRedis(inner)])
  t.ok(nats.running && redis.running)
  await inner.end()
  t.notOk(nats.running || redis.running)
})

t.test('a cluster has a leader, and gets another when that one is killed', async (t) => {
  const cluster = await useNatsCluster(t)
  t.equal(cluster.nodes.length, 3)
  const leaderOf = async (url: string): Promise<string | undefined> => {
    const text = await (await fetch(`${url}/jsz`)).text()
    return /"leader":\s*"([^"]+)"/.exec(text)?.[1]
  }
  const [first] = cluster.nodes
  const leader = await leaderOf(first?.monitorUrl ?? '')
  const index = Number(leader?.at(-1)) - 1
  await cluster.nodes[index]?.kill()
  const survivor = cluster.nodes[(index + 1) % 3]
  const next = await eventually(
    async () => {
      const name = await leaderOf(survivor?.monitorUrl ?? '')
      return name !== leader && name
    },
    { timeoutMs: 30_000 },
  )
  t.match(next, /^node-\d$/)
})

t.test('a process of its own can be waited for, paused, killed and stopped', async (t) => {
  const script = fileURLToPath(new URL('fixtures/ticker.js', import.meta.url))
  const options = { script, ready: /^ready/, env: { TICKER_NAME: 'one' } }
  const first = await useNodeProcess(t, options)
  t.equal(await first.line(/ready/), 'ready one')
  await first.kill()
  t.same(await first.exited, { code: null, signal: 'SIGKILL' })
  const second = await useNodeProcess(t, options)
  await second.kill('SIGSTOP')
  await second.stop()
  t.equal(second.lines.at(-1), 'ending')
  await t.rejects(useNodeProcess(t, { script: `${script}.absent`, ready: /^ready/ }), {
    code: 'ENGINE_FAILED',
  })
})

t.test('a power cut keeps what was synced and loses what was only written', async (t) => {
  const image = await useLoopImage(t, { megabytes: 16 })
  if (!image) return
  const synced = await open(join(image.folder, 'synced'), 'w')
  await synced.writeFile('kept')
  await synced.sync()
  await synced.close()
  const folder = await open(image.folder, 'r')
  await folder.sync()
  await folder.close()
  await appendFile(join(image.folder, 'written'), 'lost')
  const after = await image.cutPower()
  t.equal(await readFile(join(after.folder, 'synced'), 'utf8'), 'kept')
  t.notOk((await readdir(after.folder)).includes('written'))
})

t.test('a headless browser shows a page', async (t) => {
  const browser = await useChromium(t)
  if (!browser) return
  const page = await browser.newPage()
  await page.setContent('<h1>Ring</h1>')
  t.equal(await page.textContent('h1'), 'Ring')
})
