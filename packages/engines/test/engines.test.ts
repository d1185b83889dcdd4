import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import {
  appendFile,
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import {
  EngineFailed,
  EngineUnavailable,
  fetchDebian,
  locateNats,
  probeNats,
  probePostgres,
  probeRedis,
  startNats,
  startPostgres,
  startRedis,
} from '../src/index.js'
import { jetstream, redis, sql } from './fixtures/raw-clients.js'

const asRoot = process.getuid?.() === 0
const needsRoot = { skip: asRoot ? false : 'only root can become another user' } as const

interface Scope {
  teardown(close: () => unknown): void
}

async function folderOf(t: Scope): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'carillon-engines-'))
  t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }))
  await chmod(folder, 0o755)
  return folder
}

function fixture(
  name: string,
  args: readonly string[],
  as: { uid?: number; gid?: number } = {},
): ChildProcess {
  const script = fileURLToPath(new URL(`fixtures/${name}.js`, import.meta.url))
  return spawn(process.execPath, [script, ...args], { ...as, cwd: '/', stdio: ['pipe', 'pipe', 'inherit'] })
}

async function ready(child: ChildProcess): Promise<{ pid: number; url: string }[]> {
  if (!child.stdout) throw new Error('its output is a pipe')
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('ready ')) return JSON.parse(line.slice(6))
  }
  throw new Error('it ended before it was ready')
}

const ended = (child: ChildProcess) => new Promise<number | null>((resolve) => child.once('exit', resolve))

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function until(condition: () => boolean): Promise<boolean> {
  const giveUpAt = Date.now() + 60_000
  while (!condition() && Date.now() < giveUpAt) await new Promise((resolve) => setTimeout(resolve, 20))
  return condition()
}

t.test('a broker keeps its port over kill and restart and its data over a new start', async (t) => {
  const dataDir = join(await folderOf(t), 'nats')
  const first = await startNats({ dataDir })
  const made = await jetstream(
    first.url,
    '$JS.API.STREAM.CREATE.RIDES',
    '{"name":"RIDES","subjects":["rides"]}',
  )
  t.match(made, '"name":"RIDES"')
  const { url, pid } = first
  await first.kill()
  t.notOk(first.running)
  await first.restart()
  t.equal(first.url, url)
  t.not(first.pid, pid)
  t.match(await jetstream(url, '$JS.API.STREAM.INFO.RIDES'), '"name":"RIDES"')
  t.equal((await fetch(`${first.monitorUrl}/healthz`)).status, 200)
  await Promise.all([first.stop(), first.stop()])
  await using second = await startNats({ dataDir })
  t.match(await jetstream(second.url, '$JS.API.STREAM.INFO.RIDES'), '"name":"RIDES"')
})

t.test('a database keeps its data over kill, restart and a new start', async (t) => {
  const dataDir = join(await folderOf(t), 'postgres')
  const first = await startPostgres({ dataDir, settings: { max_connections: '20' } })
  await sql(first.url, 'CREATE TABLE rides AS SELECT 42 AS id')
  await first.kill()
  await first.restart()
  t.match(await sql(first.url, 'SELECT id FROM rides'), '42')
  await first.stop()
  await using second = await startPostgres({ dataDir })
  t.match(await sql(second.url, 'SELECT id FROM rides'), '42')
})

t.test('a cache keeps its data over a new start', async (t) => {
  const dataDir = join(await folderOf(t), 'redis')
  const first = await startRedis({ dataDir })
  await redis(first.url, 'SET ride 42')
  await first.stop()
  await using second = await startRedis({ dataDir })
  t.match(await redis(second.url, 'GET ride'), '42')
})

t.test('a cache whose file a power cut left unreadable starts empty, and keeps the file aside', async (t) => {
  const dataDir = join(await folderOf(t), 'redis')
  const first = await startRedis({ dataDir })
  await redis(first.url, 'SET ride 42')
  await first.stop()
  const folder = join(dataDir, 'appendonlydir')
  const file = (await readdir(folder)).find((name) => name.endsWith('.incr.aof')) ?? ''
  // blocks that were given to the file and never written read as zeros
  await appendFile(join(folder, file), Buffer.alloc(64))
  await using second = await startRedis({ dataDir })
  t.notMatch(await redis(second.url, 'GET ride'), '42')
  t.ok((await readdir(dataDir)).some((name) => name.startsWith('appendonlydir.damaged-')))
})

t.test('an engine that does not start says what it said itself, and leaves nothing running', async (t) => {
  const folder = await folderOf(t)
  const nats = startNats({ dataDir: join(folder, 'nats'), extraConfig: { max_payload: 'a lot' } })
  await t.rejects(nats, /nats-server\.conf:\d+:\d+/)
  const postgres = startPostgres({ dataDir: join(folder, 'postgres'), settings: { wal_level: 'loud' } })
  await t.rejects(postgres, /invalid value for parameter "wal_level"/)
  await t.rejects(startRedis({ dataDir: join(folder, 'redis'), settings: { maxmemory: 'much' } }), {
    code: 'ENGINE_FAILED',
  })
})

t.test('a port that is taken is an error when it was asked for', async (t) => {
  const folder = await folderOf(t)
  const server = createServer()
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address ? address.port : 0)
    })
  })
  t.teardown(() => server.close())
  const starts = [
    startNats({ dataDir: join(folder, 'nats'), port }),
    startPostgres({ dataDir: join(folder, 'postgres'), port, fromTemplate: true }),
    startRedis({ dataDir: join(folder, 'redis'), port }),
  ]
  for (const result of await Promise.allSettled(starts)) {
    const reason: unknown = result.status === 'rejected' ? result.reason : undefined
    t.ok(reason instanceof EngineFailed && reason.portTaken)
  }
})

t.test('two copies run at a time, and their engines die with a parent that is killed', async (t) => {
  const folders = [await folderOf(t), await folderOf(t)]
  const copies = folders.map((folder) => fixture('all-three', [folder]))
  const engines = (await Promise.all(copies.map(ready))).flat()
  t.equal(new Set(engines.map(({ url }) => new URL(url).port)).size, 6)
  const ends = copies.map(ended)
  for (const copy of copies) copy.kill('SIGKILL')
  await Promise.all(ends)
  t.ok(await until(() => !engines.some(({ pid }) => alive(pid))))
})

t.test('an ordinary user starts all three from a cache that it fills itself', needsRoot, async (t) => {
  const folder = await folderOf(t)
  await chown(folder, 65534, 65534)
  const child = fixture('all-three', [folder, join(folder, 'cache')], { uid: 65534, gid: 65534 })
  const end = ended(child)
  const engines = await ready(child)
  t.equal(engines.length, 3)
  for (const { pid } of engines) t.equal((await stat(`/proc/${pid}`)).uid, 65534)
  child.stdin?.end()
  t.equal(await end, 0)
  t.notOk(engines.some(({ pid }) => alive(pid)))
  t.same((await readdir(join(folder, 'cache'))).sort(), ['nats-server', 'redis'])
})

for (const identity of ['uid', 'user-namespace', 'capability'] as const) {
  t.test(`root runs PostgreSQL by way of ${identity}, and takes over its data`, needsRoot, async (t) => {
    const folder = await folderOf(t)
    if (identity !== 'uid') await chmod(folder, 0o700)
    const dataDir = join(folder, 'postgres')
    const before = await startPostgres({ dataDir, fromTemplate: true })
    await sql(before.url, 'CREATE TABLE rides AS SELECT 42 AS id')
    await before.stop()
    await using server = await startPostgres({ dataDir, identity })
    t.match(await sql(server.url, 'SELECT id FROM rides'), '42')
    t.equal((await stat(dataDir)).uid, identity === 'user-namespace' ? 0 : 65534)
    const status = await readFile(`/proc/${server.pid}/status`, 'utf8')
    t.match(status, identity === 'user-namespace' ? /^Uid:\t0\t/m : /^Uid:\t65534\t/m)
  })
}

t.test('a password, once set, is asked for', async (t) => {
  const dataDir = join(await folderOf(t), 'postgres')
  await using server = await startPostgres({ dataDir, password: 'p@ss/word' })
  t.equal(new URL(server.url).password, 'p%40ss%2Fword')
  const probe = await probePostgres(server.url, 30_000)
  t.match(probe, { healthy: true, detail: 'asks for a password' })
  t.notOk(existsSync(`${dataDir}.password`))
})

t.test('probes tell versions, and say why an address is not healthy', async (t) => {
  const folder = await folderOf(t)
  await using nats = await startNats({ dataDir: join(folder, 'nats') })
  await using cache = await startRedis({
    dataDir: join(folder, 'redis'),
    settings: { requirepass: 'secret' },
  })
  await using database = await startPostgres({ dataDir: join(folder, 'postgres'), fromTemplate: true })
  // longer than anything stands still
  const patient = 30_000
  t.match(await probeNats(nats.url, patient), { healthy: true, version: /^2\.\d+/ })
  t.match(await probePostgres(database.url, patient), { healthy: true, version: /^1[78]\./ })
  t.match(await probePostgres(database.url.replace(/postgres$/, 'absent'), patient), {
    healthy: false,
    detail: /does not exist/,
  })
  t.match(await probeRedis(cache.url, patient), { healthy: false, detail: /NOAUTH/ })
  t.match(await probeRedis(cache.url.replace('//', '//:secret@'), patient), {
    healthy: true,
    version: /^\d+\./,
  })
  const { url } = nats
  await nats.stop()
  t.match(await probeNats(url, patient), { healthy: false, detail: /ECONNREFUSED/ })
})

t.test('a program that is too old or absent is refused with a remedy', async (t) => {
  const folder = await folderOf(t)
  const old = join(folder, 'nats-server')
  await writeFile(old, '#!/bin/sh\necho "nats-server: v2.9.10"\n', { mode: 0o755 })
  for (const binary of [old, join(folder, 'absent')]) {
    const error = await locateNats({ binary }).catch((reason: unknown) => reason)
    t.ok(error instanceof EngineUnavailable && /Install nats-server 2\.12 or newer/.test(error.remedy))
  }
  t.match(await locateNats({ path: folder }), { origin: /cache|package|path/ })
})

t.test('what no archive has is refused with a remedy and leaves nothing behind', async (t) => {
  const cacheRoot = join(await folderOf(t), 'cache')
  const fetch = fetchDebian({
    name: 'bells',
    packages: ['no-such-package-of-bells'],
    suite: 'own',
    dependencies: 'none',
    cacheRoot,
    remedy: 'Ring by hand.',
  })
  await t.rejects(fetch, { code: 'ENGINE_UNAVAILABLE', remedy: 'Ring by hand.' })
  t.same(await readdir(cacheRoot).catch(() => []), [])
})

t.test(
  'two processes that fill one cached folder make it once, also after one was killed in it',
  async (t) => {
    const folder = await folderOf(t)
    const [cacheRoot, log] = [join(folder, 'cache'), join(folder, 'log')]
    const killed = fixture('slow-fill', [cacheRoot, log, '600000'])
    t.ok(await until(() => existsSync(log)))
    const end = ended(killed)
    killed.kill('SIGKILL')
    await end
    await mkdir(cacheRoot, { recursive: true })
    const codes = await Promise.all([1, 2].map(() => ended(fixture('slow-fill', [cacheRoot, log, '300']))))
    t.same(codes, [0, 0])
    t.equal((await readFile(log, 'utf8')).trim().split('\n').length, 2)
    t.same(await readdir(cacheRoot), ['thing'])
    t.same((await readdir(join(cacheRoot, 'thing'))).sort(), ['first', 'last'])
  },
)

t.test('a process that was killed while it took a lock away keeps nobody waiting', async (t) => {
  const folder = await folderOf(t)
  const [cacheRoot, log] = [join(folder, 'cache'), join(folder, 'log')]
  const dead = spawn(process.execPath, ['-e', ''])
  await ended(dead)
  for (const name of ['thing.lock', 'thing.lock.breaking'])
    await mkdir(join(cacheRoot, name), { recursive: true })
  await writeFile(join(cacheRoot, 'thing.lock', 'pid'), String(dead.pid))
  const before = new Date(Date.now() - 60_000)
  await utimes(join(cacheRoot, 'thing.lock.breaking'), before, before)
  t.equal(await ended(fixture('slow-fill', [cacheRoot, log, '0'])), 0)
  t.same(await readdir(cacheRoot), ['thing'])
})
