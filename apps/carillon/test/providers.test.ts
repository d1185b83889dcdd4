import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Simulators, startSimulators } from '@carillon/simulators'
import { eventually, useFolder } from '@carillon/testkit'
import t from 'tap'
import { runCli } from './support.js'
import { useWorld } from './world.js'

const world = await useWorld(t)
const { carillon } = world
const folder = await useFolder(t)
const { key } = await carillon.call<{ key: string }>('POST', '/v1/keys', { name: 'cli', scopes: ['admin'] })
const env = { CARILLON_URL: world.url, CARILLON_API_KEY: key }
const cli = (args: string[], input = '') => runCli(t, args, { env, input })
const workers = await world.start('dispatcher,delivery,history', { CARILLON_HOLD_MS: '600000' })

/** A mail server of its own under the world's authority, which keeps its port when its password changes. */
let mail = await startMail(await startOn(world.simulators.save(), 0))
t.teardown(() => mail[Symbol.asyncDispose]())

async function startOn(state: ReturnType<Simulators['save']>, port: number) {
  const own = ['fcm', 'apns', 'webpush', 'sms', 'webhook'] as const
  const elsewhere = Object.fromEntries(own.map((name) => [name, { ...state[name], port: 0 }]))
  return { ...state, ...elsewhere, smtp: { ...state.smtp, port } } as typeof state
}
function startMail(state: ReturnType<Simulators['save']>): Promise<Simulators> {
  return startSimulators({ allow: 'development', state })
}
const credentials = (more: object = {}) => ({
  ...mail.smtp.credentials,
  bounceDomain: 'mail.carillon.example',
  ...more,
})
const putCredentials = async (value: unknown) => {
  const file = join(folder, 'smtp.json')
  await writeFile(file, JSON.stringify(value))
  return cli(['provider', 'put', 'smtp', file])
}

await carillon.call('PUT', '/v1/categories/offers', { name: 'Offers' })
await carillon.putWorkflow(
  JSON.stringify({
    key: 'mail',
    on: 'test.mail.v1',
    to: 'data.userId',
    category: 'offers',
    content: { title: 'Hello', body: 'A mail.' },
    steps: ['email'],
  }),
  'mail',
)
interface Sent {
  status: string
  reason: string | null
  detail: string | null
}
const send = async (id: string, userId: string) => {
  await carillon.publish({ type: 'test.mail.v1', id, data: { userId } })
}
const deliveryOf = async (id: string) =>
  (
    await world.rows<Sent>(
      `SELECT d.status, d.reason, d.detail FROM deliveries d JOIN runs r ON r.id = d.run_id
        JOIN events e ON e.id = r.event_id WHERE e.event_id = $1`,
      [id],
    )
  )[0]
const becomes = (id: string, status: string, reason?: string) =>
  eventually(async () => {
    const found = await deliveryOf(id)
    if (found?.status === status && (reason === undefined || found.reason === reason)) return found
    throw new Error(`it is ${JSON.stringify(found)}, not ${status}`)
  })
const mails = () => mail.inbox.list().filter(({ provider }) => provider === 'smtp')

t.test('what the provider refuses is not saved, and what it takes is in use', async (t) => {
  const good = await putCredentials(credentials())
  t.equal(good.code, 0, good.stderr)
  t.match(good.stdout, /smtp default\/default was tried out and saved/)
  const refused = await putCredentials(credentials({ password: 'guessed' }))
  t.equal(refused.code, 1)
  t.match(refused.stderr, /SMTP_535.*Compare .*password/)
  t.notMatch(refused.stderr + refused.stdout, /guessed/)
  t.match((await cli(['provider', 'check', 'smtp'])).stdout, /lets us in/)
  await send('m1', 'ada')
  await becomes('m1', 'sent')
  t.equal(mails().length, 1)
})

t.test(
  'credentials are replaced while workers run, and what waited goes out with the new ones',
  async (t) => {
    const saved = mail.save()
    const { port } = mail.smtp
    await mail[Symbol.asyncDispose]()
    mail = await startMail(
      await startOn({ ...saved, smtp: { ...saved.smtp, password: 'new-password' } }, port),
    )
    await send('m2', 'ada')
    await becomes('m2', 'retrying', 'CONFIGURATION')
    const held = await cli(['provider', 'list'])
    t.match(held.stdout, /smtp .*on hold until .*SMTP_535/)
    const check = await cli(['provider', 'check', 'smtp'])
    t.equal(check.code, 1)
    t.match(check.stdout, /refused: SMTP_535.*\n.*Compare .*password/)
    t.equal((await putCredentials(credentials())).code, 0)
    t.notMatch((await cli(['provider', 'list'])).stdout, /on hold/)
    await send('m3', 'bob')
    await becomes('m3', 'sent')
    await world.rows(`UPDATE deliveries SET due_at = now() WHERE status = 'retrying'`)
    await becomes('m2', 'sent')
    t.doesNotThrow(() => process.kill(workers.pid, 0), 'nothing was restarted')
  },
)

t.test('a paused account sends nothing until it is resumed, over standard input too', async (t) => {
  t.match((await cli(['provider', 'pause', 'smtp'])).stdout, /smtp default\/default is paused/)
  await send('m4', 'ada')
  await becomes('m4', 'retrying')
  t.match((await cli(['provider', 'resume', 'smtp'])).stdout, /is used again/)
  await world.rows(`UPDATE deliveries SET due_at = now() WHERE status = 'retrying'`)
  await becomes('m4', 'sent')
  const spare = [
    'provider',
    'put',
    'smtp',
    '-',
    '--name',
    'spare',
    '--position',
    '5',
    '--settings',
    '{"perSecond":2}',
  ]
  t.equal((await cli(spare, JSON.stringify(credentials()))).code, 0)
  t.match(
    JSON.parse((await cli(['provider', 'list', '--json'])).stdout).find(
      ({ name }: { name: string }) => name === 'spare',
    ),
    {
      position: 5,
      settings: { perSecond: 2 },
    },
  )
  t.match(
    (await cli(['provider', 'delete', 'smtp', '--name', 'spare'])).stdout,
    /smtp default\/spare is forgotten/,
  )
  const gone = await cli(['provider', 'check', 'smtp', '--name', 'spare'])
  t.equal(gone.code, 1)
  t.match(gone.stderr, /no smtp account "spare".*\n.*provider list/)
})

/** What the mail server that could not deliver writes, with the mail that came back. */
const bounceOf = (message: { to: string; raw: unknown }, action: string, status: string) => {
  const { from, source } = message.raw as { from: string; source: string }
  return `Return-Path: <>
From: MAILER-DAEMON@mx.example.com
To: ${from}
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b1"

--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Final-Recipient: rfc822; ${message.to}
Action: ${action}
Status: ${status}
Diagnostic-Code: smtp; 550 ${status} No such user here

--b1
Content-Type: message/rfc822

${source}
--b1--
`
}

t.test('a mail that came back fails its delivery and nothing more is sent to that mailbox', async (t) => {
  await send('m5', 'eve')
  await becomes('m5', 'sent')
  const message = mails().find(({ to }) => to === 'eve@example.com')
  if (message === undefined) throw new Error('Eve got no mail')
  const report = bounceOf(message, 'failed', '5.1.1')
  for (let times = 0; times < 2; times++) {
    const handed = await cli(['bounce'], report)
    t.equal(handed.code, 0, handed.stderr)
    t.match(handed.stdout, /"outcome":"bounced"/)
  }
  t.match(await becomes('m5', 'failed', 'ADDRESS_INVALID'), { detail: /No such user/ })
  const { suppressions } = await carillon.call<{ suppressions: object[] }>('GET', '/v1/suppressions')
  t.match(suppressions, [
    { kind: 'email', address: 'eve@example.com', reason: 'bounced', detail: /^5\.1\.1/ },
  ])
  await send('m6', 'eve')
  t.match(await becomes('m6', 'skipped', 'ADDRESS_INVALID'), { detail: /suppressed/ })
  await carillon.call('DELETE', '/v1/suppressions/email/eve%40example.com')
  await send('m7', 'eve')
  await becomes('m7', 'sent')
})

t.test('a mail server keeps what could not be handed in, and drops what never will be', async (t) => {
  const nonsense = await cli(['bounce'], 'From: ada@example.com\nSubject: Hi\n\nHello.\n')
  t.equal(nonsense.code, 0)
  t.match(nonsense.stdout, /"outcome":"ignored"/)
  const forged = {
    to: 'eve@example.com',
    raw: { from: `b${'a'.repeat(63)}@mail.carillon.example`, source: '' },
  }
  const dropped = await cli(['bounce'], bounceOf(forged, 'failed', '5.1.1'))
  t.equal(dropped.code, 0, 'a forged report is of no use later either')
  t.match(dropped.stderr, /REPORT_UNPROVEN/)
  const away = { ...env, CARILLON_URL: 'http://127.0.0.1:9' }
  t.equal((await runCli(t, ['bounce'], { env: away, input: 'x' })).code, 75)
  const wrongKey = { ...env, CARILLON_API_KEY: 'ck_live_wrong' }
  t.equal((await runCli(t, ['bounce'], { env: wrongKey, input: 'x' })).code, 75)
  await t.rejects(carillon.call('POST', '/v1/callbacks/mail', { not: 'a mail' }), {
    code: 'UNSUPPORTED_MEDIA_TYPE',
  })
})
