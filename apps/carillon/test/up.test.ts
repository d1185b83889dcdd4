import { cp, readFile, rename, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { eventually, useFolder } from '@carillon/testkit'
import t, { type Test } from 'tap'
import { BELLS } from '../src/ring/bells.js'
import { addressesOf, answering, edgeOf, inboxOf, PROJECT, runCli, startCli, startUp } from './support.js'

/**
 * A second start has to be done, bells and all, within this; on a machine that is busy, within some times what the first
 * took.
 */
const SECOND_START_S = 8
const BUSY = 5

t.test('one ring rings every bell, and the next start finds its data again', async (t) => {
  await occupyDefaultPorts(t)
  const directory = join(await useFolder(t), 'mesh')
  const first = await runCli(t, ['up', '--once'], { directory })
  t.equal(first.code, 0, first.stderr)
  t.same(bellsOf(first.stdout), BELLS, 'a line for each, in order')
  const second = await runCli(t, ['up', '--once'], { directory })
  t.equal(second.code, 0, second.stderr)
  t.same(bellsOf(second.stdout), BELLS)
  const most = Math.max(SECOND_START_S, BUSY * first.seconds)
  t.ok(second.seconds <= most, `the second start took ${second.seconds.toFixed(1)} s`)
  t.comment(`first ${first.seconds.toFixed(1)} s, second ${second.seconds.toFixed(1)} s`)

  const mesh = await startUp(t, { directory })
  t.equal((await inboxOf(directory)).length, 2, 'both rings are in the inbox')

  await t.test('a second mesh in the same folder is refused with what to do', async (t) => {
    const refused = await runCli(t, ['up', '--once'], { directory })
    t.equal(refused.code, 1)
    t.match(refused.stderr, /A mesh is running here already \(process \d+\)\.\n.*CARILLON_DIR/)
    t.same((await answering(await addressesOf(directory))).length, 3, 'and the first goes on')
  })

  await t.test('a second mesh in another folder runs beside it', async (t) => {
    const other = await runCli(t, ['up', '--once'], { directory: join(await useFolder(t), 'mesh') })
    t.equal(other.code, 0, other.stderr)
    t.same(bellsOf(other.stdout), BELLS)
    t.equal((await inboxOf(directory)).length, 2, 'what rings there does not ring here')
  })

  await t.test('a port that is taken is said, and nothing of the attempt stays', async (t) => {
    const { url } = await edgeOf(directory)
    const elsewhere = join(await useFolder(t), 'mesh')
    const refused = await runCli(t, ['up', '--once', '--port', new URL(url).port], { directory: elsewhere })
    t.equal(refused.code, 1)
    t.match(refused.stderr, /port \d+ .*taken.*\n.*--port/i)
    t.same(await leftovers(elsewhere), [])
  })

  await t.test('the printed curl line rings an event of your own', async (t) => {
    const line = await mesh.says(/curl -X POST .*/)
    const [, url = '', key = '', body = ''] =
      /POST (\S+) -H 'authorization: (Bearer \S+)' .* -d '(.*)'$/.exec(line) ?? []
    const headers = { authorization: key, 'content-type': 'application/json' }
    t.equal((await fetch(url, { method: 'POST', headers, body })).status, 202)
    await eventually(async () => (await inboxOf(directory))[0]?.body === 'Rung from a terminal.')
  })

  await t.test('one document describes all roles on the port, and so does the page', async (t) => {
    const { url } = await edgeOf(directory)
    for (const path of ['/openapi.json', '/docs/json']) {
      const document = (await (await fetch(`${url}${path}`)).json()) as {
        servers: unknown
        paths: Record<string, Record<string, { security?: Record<string, unknown>[]; tags: string[] }>>
        components: { securitySchemes: Record<string, unknown> }
      }
      t.same(document.servers, [{ url }])
      for (const [way, tag] of [
        ['/v1/events', 'events'],
        ['/v1/inbox', 'inbox'],
        ['/v1/sse', 'realtime'],
        ['/v1/connection/websocket', 'realtime'],
        ['/v1/me/channels/{channel}/history', 'realtime'],
      ] as const)
        t.same(Object.values(document.paths[way] ?? {})[0]?.tags, [tag], `${path}: ${way}`)
      const named = Object.values(document.paths)
        .flatMap((methods) => Object.values(methods))
        .flatMap(({ security = [] }) => security.flatMap((one) => Object.keys(one)))
      t.same(new Set(named), new Set(Object.keys(document.components.securitySchemes)), path)
      const others = Object.keys(document.paths).filter((one) => !one.startsWith('/v1/'))
      t.same(others, [], 'the demonstration is no part of it')
    }
  })

  await t.test('Ctrl-C stops everything', async (t) => {
    const addresses = await addressesOf(directory)
    mesh.interrupt()
    const { code, stderr } = await mesh.exited
    t.equal(code, 0, stderr)
    t.equal(stderr, '')
    t.same(await answering(addresses), [], 'no engine takes connections')
    t.same(await leftovers(directory), [], 'neither lock nor addresses stay')
  })
})

t.test('a saved workflow reads differently at the next ring', async (t) => {
  const cwd = await useFolder(t)
  const directory = join(cwd, '.carillon')
  await cp(join(PROJECT, 'workflows'), join(cwd, 'workflows'), { recursive: true })
  const file = join(cwd, 'workflows', 'hello.yaml')
  const original = await readFile(file, 'utf8')
  // as editors do that put the new file in the place of the old one
  const save = async (text: string) => {
    await writeFile(`${file}.new`, text)
    await rename(`${file}.new`, file)
  }
  const mesh = await startUp(t, { cwd })
  const { carillon } = await edgeOf(directory)
  const ring = () => carillon.trigger('hello', { to: 'ada', data: { userId: 'ada', name: 'Ada' } })
  const titles = async () => (await inboxOf(directory)).map(({ title }) => title)

  await ring()
  await eventually(async () => (await titles())[0] === 'Hello Ada')
  await save(original.replace('"Hello ', '"Good morning '))
  await mesh.says(/✓ hello\.yaml is version 2 now/)
  await ring()
  await eventually(async () => (await titles())[0] === 'Good morning Ada')

  await writeFile(file, original.replace('- inbox', '- pigeon'))
  // written in place it may be read while it is empty, and is refused for that first
  await mesh.says(/✗ hello\.yaml: .*(pigeon|steps)/)
  t.pass('a broken one is refused, saying where')
  await ring()
  await eventually(async () => (await titles()).length === 3)
  t.equal((await titles())[0], 'Good morning Ada', 'and the last good one goes on')
  await save(original)
  await mesh.says(/✓ hello\.yaml is version 3 now/)

  await t.test('kill -9 takes the engines along, and the next start works', async (t) => {
    const addresses = await addressesOf(directory)
    mesh.kill('SIGKILL')
    await mesh.exited
    await eventually(async () => (await answering(addresses)).length === 0)
    const refused = await runCli(t, ['tail', '--count', '1'], { cwd })
    t.equal(refused.code, 2, 'commands say that nothing runs')
    t.match(refused.stderr, /No mesh runs here\.\n.*npm start/)
    const next = await runCli(t, ['up', '--once'], { cwd })
    t.equal(next.code, 0, next.stderr)
    t.same(bellsOf(next.stdout), BELLS)
  })
})

t.test('Ctrl-C during the start leaves nothing behind, nor does a lock of somebody else count', async (t) => {
  const directory = join(await useFolder(t), 'mesh')
  const starting = startCli(t, ['up', '--no-open'], { directory })
  const lock = await eventually(() => readFile(join(directory, 'running'), 'utf8'))
  starting.interrupt()
  const { code, stdout, stderr } = await starting.exited
  t.equal(code, 130)
  t.equal(stderr, '')
  t.notMatch(stdout, /Carillon is up/)
  t.same(await leftovers(directory), [])

  // as a power cut leaves it, when another process has the number of the mesh by now
  const [, boot] = lock.split(' ')
  await writeFile(join(directory, 'running'), `${process.pid} ${boot} 1`)
  const next = await runCli(t, ['up', '--once'], { directory })
  t.equal(next.code, 0, next.stderr)
})

t.test('outside of a project the start says where to go', async (t) => {
  const cwd = await useFolder(t)
  const refused = await runCli(t, ['up', '--once'], { cwd })
  t.equal(refused.code, 2)
  t.match(refused.stderr, /no folder workflows/i)
  t.match(refused.stderr, /\n {2}\S+/, 'with a remedy')
})

/** Names of the bells in lines like `rang inbox 41 ms`. */
function bellsOf(output: string): string[] {
  return [...output.matchAll(/^rang (\w+) \d+ ms$/gm)].map(([, bell]) => bell as string)
}

async function leftovers(directory: string): Promise<string[]> {
  const found = await Promise.all(
    ['running', 'addresses.json'].map((name) =>
      readFile(join(directory, name)).then(
        () => name,
        () => '',
      ),
    ),
  )
  return found.filter((name) => name !== '')
}

/** Takes the ports at which engines usually listen; those that are taken already serve as well. */
async function occupyDefaultPorts(t: Test): Promise<void> {
  for (const port of [4222, 5432, 6379, 8080]) {
    const server = createServer()
    const listening = await new Promise<Server | undefined>((resolve) => {
      server.once('error', () => resolve(undefined))
      server.listen(port, '127.0.0.1', () => resolve(server))
    })
    if (listening !== undefined) t.teardown(() => new Promise((resolve) => listening.close(resolve)))
  }
}
