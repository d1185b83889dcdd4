import { once } from 'node:events'
import { access, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { eventually, useFolder } from '@carillon/testkit'
import t from 'tap'
import { ROLE_NAMES } from '../src/mesh/role-names.js'
import { addressesOf, type CliOptions, edgeOf, inboxOf, runCli, startCli, startUp } from './support.js'

const COMMANDS = [
  'up',
  'serve',
  'publish',
  'tail',
  'explain',
  'topology',
  'workflow',
  'migrate',
  'doctor',
  'config',
  'reset',
  'demo',
  'bench',
  'chaos',
  'provider',
  'bounce',
  'dlq',
]

t.test('help teaches every command and is no failure', async (t) => {
  const help = await runCli(t, ['--help'])
  t.equal(help.code, 0)
  for (const command of COMMANDS)
    t.match(help.stdout, new RegExp(`^ {2}${command}\\b.* {2}\\S`, 'm'), command)
  const own = await runCli(t, ['up', '--help'])
  t.equal(own.code, 0)
  t.match(own.stdout, /--once .*ring once/)
})

t.test('a wrong call exits 2 and says what would be right', async (t) => {
  const directory = join(await useFolder(t), 'mesh')
  const wrong: [args: string[], says: RegExp][] = [
    [['ringg'], /unknown command 'ringg'.*\n.*--help/],
    [['up', '--twice'], /unknown option '--twice'.*\n.*--help/],
    [['up', '--port', 'high'], /must be a port/],
    [['tail', '--count', '0'], /whole number above 0/],
    [['tail', 'pigeons'], /Follow one of events, jobs/],
    [['publish', 'demo.hello.v1', '{bad'], /not JSON.\n.*Quote it/],
    [['publish', 'demo.hello.v1', '{}', '--lane', 'express'], /Lanes are high, normal and bulk/],
    [['publish', 'demo.hello.v1', '{}'], /No mesh runs here.\n.*npm start/],
    [['topology', 'plan'], /No mesh runs here.\n.*NATS_URL/],
    [['topology', 'render', 'poem'], /Render permissions, json or nack/],
    [['topology', 'render', '--environment', 'nowhere'], /no environment "nowhere".\n.*nats\/environments/],
    [['serve'], /--roles/],
    [['serve', '--roles=nonsense'], /no role "nonsense".\n.*gateway/],
    [['reset'], /reset --yes/],
    [['provider', 'put', 'smtp'], /Nothing says what to change.\n.*--settings/],
    [['provider', 'put', 'smtp', 'nowhere.json'], /nowhere.json can't be read.\n.*standard input/],
    [['provider', 'put', 'smtp', '--settings', 'fast'], /settings are not JSON/],
    [['provider', 'put', 'smtp', '--position', 'first'], /whole number, 0 to 1000/],
    [['dlq', 'redrive'], /Nothing says which ones.\n.*--all/],
    [['dlq', 'redrive', '--poison'], /Nothing says which ones.\n.*--stream EVENTS/],
    [['dlq', 'redrive', 'x', '--channel', 'push'], /ids or a filter, not both/],
    [['dlq', 'list', '--from', 'noon'], /must be a moment: 14:02/],
    [['dlq', 'list', '--channel', 'pigeon'], /Allowed choices are push, email/],
    [['dlq', 'list'], /No mesh runs here.\n.*npm start/],
  ]
  for (const [args, says] of wrong) {
    const { code, stderr } = await runCli(t, args, { directory })
    t.equal(code, 2, `carillon ${args.join(' ')}`)
    t.match(stderr, says)
  }
})

t.test('a process without its configuration names every missing key at once', async (t) => {
  const served = await runCli(t, ['serve', '--roles=all'])
  t.equal(served.code, 2)
  const missing = [...served.stderr.matchAll(/^ {2}([A-Z_]+): is missing\. It is: ./gm)].map(([, key]) => key)
  t.same(missing.sort(), [
    'CARILLON_MASTER_KEY',
    'CARILLON_RECEIPT_KEY',
    'CARILLON_TOKEN_KEY',
    'DATABASE_URL',
    'DATABASE_WORKER_URL',
    'NATS_URL',
    'REDIS_URL',
  ])
  const shown = await runCli(t, ['config'])
  t.equal(shown.code, 2)
  for (const key of missing) t.match(shown.stdout, new RegExp(`✗ ${key} is missing`))
})

t.test('the configuration is shown without its secrets', async (t) => {
  const secret = 'kept-from-every-eye-0123456789-0123456789-01'
  const { code, stdout } = await runCli(t, ['config'], {
    env: {
      NATS_URL: 'nats://127.0.0.1:4222',
      DATABASE_URL: `postgres://edge:${secret}@127.0.0.1/carillon`,
      DATABASE_WORKER_URL: `postgres://workers:${secret}@127.0.0.1/carillon`,
      REDIS_URL: `redis://:${secret}@127.0.0.1`,
      CARILLON_TOKEN_KEY: secret,
      CARILLON_MASTER_KEY: secret,
      CARILLON_RECEIPT_KEY: secret,
      CARILLON_RETAIN_DAYS: '7',
    },
  })
  t.equal(code, 0)
  t.notMatch(stdout, secret)
  t.match(stdout, 'CARILLON_RETAIN_DAYS: 7', 'under the names that set it')
  for (const role of ROLE_NAMES) t.match(stdout, new RegExp(`^${role}$`, 'm'))
})

t.test('at a mesh that runs', async (t) => {
  const directory = join(await useFolder(t), 'mesh')
  const at: CliOptions = { directory }
  const mesh = await startUp(t, at)
  const addresses = await addressesOf(directory)
  const run = (...args: string[]) => runCli(t, args, at)

  await t.test('publish rings, once for the same id, and its id is explained', async (t) => {
    const data = '{"userId":"ada","name":"Ada","text":"By hand."}'
    const first = await run('publish', 'demo.hello.v1', data, '--id', 'by-hand')
    t.match(first, { code: 0, stdout: 'by-hand\n', stderr: '' })
    t.equal((await run('publish', 'demo.hello.v1', data, '--id', 'by-hand')).code, 0)
    const piped = await runCli(t, ['publish', 'demo.hello.v1', '-'], {
      ...at,
      input: data.replace('hand', 'pipe'),
    })
    t.match(piped.stdout, /^[0-9a-f-]{36}\n$/)
    await eventually(async () => (await inboxOf(directory)).some(({ body }) => body === 'By pipe.'))
    const rung = (await inboxOf(directory)).filter(({ body }) => body === 'By hand.')
    t.equal(rung.length, 1)

    const ofEvent = await run('explain', 'by-hand')
    const ofNotification = await run('explain', rung[0]?.id ?? '')
    t.equal(ofEvent.code, 0, ofEvent.stderr)
    t.match(ofEvent.stdout, /hello[\s\S]*ada/)
    t.match(ofNotification.stdout, /hello[\s\S]*ada/)
    const asData: unknown = JSON.parse((await run('explain', 'by-hand', '--json')).stdout)
    t.match(asData, { runs: [{ text: String }] })

    const ofPerson = await run('explain', 'by-hand', '--user', 'ada')
    t.match(ofPerson.stdout, /It told ada through workflow "hello"[\s\S]*\n\d\d:\d\d:\d\d\.\d{3} {2}\S/)
    const ofOther = await run('explain', 'by-hand', '--user', 'bob')
    t.match(ofOther.stdout, /told bob nothing[\s\S]*data\.userId names "ada", not "bob"/)

    await run('publish', 'nobody.listens.v1', '{}', '--id', 'unheard')
    const unheard = await eventually(async () => {
      const told = await run('explain', 'unheard')
      return told.code === 0 && told
    })
    t.match(unheard.stdout, /told nobody/)
    t.match(await run('explain', 'never-was'), {
      code: 1,
      stderr: /Nothing is known of "never-was"\.\n {2}\S/,
    })
  })

  await t.test('tail follows from now on and stops after a count', async (t) => {
    const tail = startCli(t, ['tail', 'events', '--count', '2'], at)
    const { carillon } = await edgeOf(directory)
    let done = false
    void tail.exited.then(() => {
      done = true
    })
    // what comes before it looks for the first time is not its business
    await eventually(async () => {
      await carillon.publish({ type: 'tail.test.v1', data: { followed: true } })
      return done
    })
    const { code, stdout } = await tail.exited
    t.equal(code, 0)
    const lines = stdout.trimEnd().split('\n')
    t.equal(lines.length, 2)
    for (const line of lines) t.match(line, /^[\d:.]{12} evt\.normal\.demo\.tail\.test\.v1 .*followed/)
    const whole = startCli(t, ['tail', 'live'], at)
    whole.interrupt()
    await whole.exited
  })

  await t.test('a stream changed by hand is drift, and apply mends it', async (t) => {
    t.match(await run('topology', 'plan'), { code: 0, stdout: /as the file says/ })
    await changeStream(addresses.natsUrl, 'EVENTS', (config) => ({ ...config, max_bytes: 123_456_789 }))
    const drift = await run('topology', 'drift')
    t.equal(drift.code, 3)
    t.match(drift.stdout, /~ stream EVENTS update\n +max_bytes: 123456789 → /)
    t.match(await run('doctor'), {
      code: 1,
      stdout: /✗ topology +1 streams or durables differ.*\n +Run carillon topology apply/,
    })
    t.match(await run('topology', 'apply'), { code: 0, stdout: /1 applied/ })
    t.match(await run('topology', 'drift'), { code: 0, stdout: /as the file says/ })
    t.match(await run('topology', 'apply'), { code: 0, stdout: /nothing to do/ })
  })

  await t.test('permissions and resources are rendered without a server', async (t) => {
    const permissions = await runCli(t, ['topology', 'render', 'permissions'])
    t.equal(permissions.code, 0)
    t.match(permissions.stdout, /publish[\s\S]*evt\./)
    const json: unknown = JSON.parse((await runCli(t, ['topology', 'render', 'json'])).stdout)
    t.type(json, 'object')
    t.match((await runCli(t, ['topology', 'render', 'nack'])).stdout, /kind: Stream/)
  })

  await t.test('doctor finds a healthy mesh healthy, and says what to do about a broken one', async (t) => {
    const healthy = await run('doctor')
    t.equal(healthy.code, 0, healthy.stdout)
    for (const part of ['node', 'disk', 'nats', 'postgres', 'redis', 'topology', 'database', 'dead letters'])
      t.match(healthy.stdout, new RegExp(`✓ ${part} +\\S`))
    const broken = await runCli(t, ['doctor'], {
      ...at,
      env: {
        NATS_URL: addresses.natsUrl,
        DATABASE_OWNER_URL: addresses.ownerUrl.replace(/:\d+\//, ':1/'),
        REDIS_URL: 'redis://127.0.0.1:1',
      },
    })
    t.equal(broken.code, 1)
    t.match(broken.stdout, /✓ nats/)
    t.match(broken.stdout, /✗ postgres .*\n {4}\S/)
    t.match(broken.stdout, /✗ redis .*\n {4}\S/)
    t.match(broken.stdout, /✗ database .*\n {4}\S/)
  })

  await t.test('migrate changes nothing the second time', async (t) => {
    const env = { DATABASE_OWNER_URL: addresses.ownerUrl }
    t.match(await runCli(t, ['migrate'], { env }), { code: 0, stdout: 'the schema is up to date\n' })
  })

  await t.test('roles that cannot start end with 1', async (t) => {
    const { tokenKey, masterKey, receiptKey } = JSON.parse(
      await readFile(join(directory, 'keys.json'), 'utf8'),
    ) as Record<string, string>
    const { url } = await edgeOf(directory)
    const served = await runCli(t, ['serve', '--roles=realtime'], {
      env: {
        NATS_URL: addresses.natsUrl,
        DATABASE_URL: addresses.ownerUrl,
        DATABASE_WORKER_URL: addresses.ownerUrl,
        REDIS_URL: addresses.redisUrl,
        CARILLON_TOKEN_KEY: tokenKey as string,
        CARILLON_MASTER_KEY: masterKey as string,
        CARILLON_RECEIPT_KEY: receiptKey as string,
        CARILLON_PORT: new URL(url).port,
      },
    })
    t.equal(served.code, 1, 'its port is taken, and nothing of it stays')
    t.match(served.stdout + served.stderr, /EADDRINUSE/)
  })

  await t.test('reset is refused while it runs and wipes everything after', async (t) => {
    t.match(await run('reset', '--yes'), { code: 1, stderr: /The mesh runs.*\n.*Ctrl-C/ })
    mesh.interrupt('SIGTERM')
    t.equal((await mesh.exited).code, 0)
    t.match(await run('publish', 'demo.hello.v1'), { code: 2, stderr: /No mesh runs here/ })
    t.match(await run('doctor'), { code: 0, stdout: /does not run here/ })
    await writeFile(join(directory, 'mine.txt'), 'not of the mesh')
    t.match(await run('reset', '--yes'), { code: 0, stdout: /wiped/ })
    for (const gone of ['data/postgres', 'data/nats', 'keys.json', 'port'])
      await t.rejects(access(join(directory, gone)), { code: 'ENOENT' })
    t.equal(await readFile(join(directory, 'mine.txt'), 'utf8'), 'not of the mesh')
  })
})

/** Changes a stream as somebody with the JetStream API would, over the bare protocol. */
async function changeStream(
  natsUrl: string,
  name: string,
  change: (config: Record<string, unknown>) => Record<string, unknown>,
): Promise<void> {
  const { hostname, port, username, password } = new URL(natsUrl)
  const socket = connect({ host: hostname, port: Number(port) })
  try {
    await once(socket, 'connect')
    const login = username === '' ? {} : { user: username, pass: password }
    socket.write(`CONNECT ${JSON.stringify({ verbose: false, ...login })}\r\nSUB answers 1\r\n`)
    const { config } = await ask<{ config: Record<string, unknown> }>(`$JS.API.STREAM.INFO.${name}`, '')
    const answer = await ask<{ error?: { description: string } }>(
      `$JS.API.STREAM.UPDATE.${name}`,
      JSON.stringify(change(config)),
    )
    if (answer.error !== undefined) throw new Error(answer.error.description)
  } finally {
    socket.destroy()
  }

  function ask<T>(subject: string, body: string): Promise<T> {
    return new Promise((resolve, reject) => {
      let text = ''
      const onData = (chunk: Buffer): void => {
        text += chunk.toString('latin1')
        const found = /MSG answers 1 (\d+)\r\n/.exec(text)
        if (found === null) return
        const from = found.index + found[0].length
        if (text.length < from + Number(found[1])) return
        socket.off('data', onData)
        resolve(JSON.parse(text.slice(from, from + Number(found[1]))))
      }
      socket.on('data', onData).once('error', reject)
      socket.write(`PUB ${subject} answers ${Buffer.byteLength(body)}\r\n${body}\r\n`)
    })
  }
}
