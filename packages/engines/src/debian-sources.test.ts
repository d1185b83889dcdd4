import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import { readDebianArchive } from './debian-sources.js'
import { renderNatsConfig } from './nats-config.js'
import { isAtLeast, parseVersion } from './version.js'

interface Scope {
  teardown(close: () => unknown): void
}

const debian = 'ID=debian\nVERSION_CODENAME=bookworm\n'

async function machine(t: Scope, files: Record<string, string>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'carillon-apt-'))
  t.teardown(() => rm(root, { recursive: true, force: true }))
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
  }
  return root
}

t.test('the archive of the machine is read from stanzas, past other archives and comments', async (t) => {
  const root = await machine(t, {
    'etc/os-release': debian,
    'etc/apt/sources.list.d/other.sources':
      'Types: deb\nURIs: https://other.example/apt\nSuites: stable\nComponents: main\n',
    'etc/apt/sources.list.d/debian.sources': [
      'Types: deb',
      '# a remark with URIs: http://wrong.example',
      'URIs: http://security.example/debian-security',
      'Suites: bookworm-security',
      'Components: main',
      '',
      'Types: deb deb-src',
      'URIs: http://mirror.example/debian',
      'Suites: bookworm bookworm-updates',
      'Components: main contrib',
      'Signed-By: /usr/share/keyrings/some.gpg',
      '',
    ].join('\n'),
  })
  t.same(await readDebianArchive(root), {
    distribution: 'debian',
    codename: 'bookworm',
    uri: 'http://mirror.example/debian',
    signedBy: '/usr/share/keyrings/some.gpg',
  })
})

t.test('the archive of the machine is read from lines, and a derivative counts as its parent', async (t) => {
  const root = await machine(t, {
    'etc/os-release':
      'ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_CODENAME=wilma\nUBUNTU_CODENAME=noble\n',
    'etc/apt/sources.list':
      '# deb http://old.example/ubuntu noble main\ndeb [arch=amd64 signed-by=/k.gpg] http://mirror.example/ubuntu noble main universe # ours\n',
  })
  t.same(await readDebianArchive(root), {
    distribution: 'ubuntu',
    codename: 'noble',
    uri: 'http://mirror.example/ubuntu',
    signedBy: '/k.gpg',
  })
})

t.test('an inline key or a disabled stanza gives no file to sign by, or no archive', async (t) => {
  const stanza = 'Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\nComponents: main\n'
  const key = 'Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n'
  const file = 'etc/apt/sources.list.d/debian.sources'
  const inline = await machine(t, { 'etc/os-release': debian, [file]: stanza + key })
  t.equal((await readDebianArchive(inline))?.signedBy, undefined)
  const disabled = await machine(t, { 'etc/os-release': debian, [file]: `Enabled: no\n${stanza}` })
  t.equal(await readDebianArchive(disabled), undefined)
  t.equal(await readDebianArchive(await machine(t, { 'etc/os-release': 'ID=fedora\n' })), undefined)
})

t.test('versions compare as numbers', async (t) => {
  t.same(parseVersion('nats-server: v2.15.1'), [2, 15, 1])
  t.same(parseVersion('postgres (PostgreSQL) 18.4'), [18, 4, 0])
  t.ok(isAtLeast([2, 15, 1], [2, 12, 0]))
  t.ok(isAtLeast([3, 0, 0], [2, 12, 0]))
  t.notOk(isAtLeast([2, 9, 10], [2, 12, 0]))
})

t.test('the broker syncs before it acknowledges, on loopback, and settings merge key by key', async (t) => {
  const text = renderNatsConfig({
    serverName: 'one',
    dataDir: '/data',
    port: 4333,
    monitorPort: 8222,
    syncInterval: 'always',
    maxStore: undefined,
    maxPayloadBytes: 2 ** 20,
    cluster: undefined,
    extraConfig: { jetstream: { max_memory_store: '64MB' }, accounts: { A: {} } },
  })
  t.match(text, /^listen: "127\.0\.0\.1:4333"$/m)
  t.match(text, /^http: "127\.0\.0\.1:8222"$/m)
  t.match(text, /"sync_interval": "always"/)
  t.match(text, /"max_memory_store": "64MB"/)
  t.match(text, /^accounts: /m)
  t.notMatch(text, /websocket|mqtt|no_auth_user/)
})
