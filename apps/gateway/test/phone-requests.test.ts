import { readdir, readFile } from 'node:fs/promises'
import { signReceiptToken } from '@carillon/channels'
import { runId, userId } from '@carillon/contracts'
import { sha256 } from '@carillon/service'
import t from 'tap'
import { list, text, useEdge } from './support.js'

/** What the helpers of packages/devices send, word for word. */
interface Exchange {
  request: { method: string; path: string; headers: Record<string, string>; body?: unknown }
  answer: number
}

const FOLDER = new URL('../../../../packages/devices/test/requests/', import.meta.url)
const exchanges = new Map<string, Exchange>()
for (const file of await readdir(FOLDER)) {
  exchanges.set(file.replace('.json', ''), JSON.parse(await readFile(new URL(file, FOLDER), 'utf8')))
}
const played = new Set<string>()

const edge = await useEdge(t)
const admin = await edge.key('acme', 'admin')
for (const user of ['ada', 'bob']) await edge.call(admin, `PUT /v1/users/${user}`, {})
const tokenOf = async (user: string) =>
  text((await edge.call(admin, `POST /v1/users/${user}/token`, {})).body.token)
const ada = await tokenOf('ada')
const bob = await tokenOf('bob')
const own = { installation: '6fa459ea-ee8a-4ca4-894e-db77e160355e', userToken: ada, activity: 'ride-42' }

/** Sends it as it stands in the file, with `{…}` filled in. Headers are those of the file and no others. */
async function play(name: string, values: Record<string, string>) {
  const exchange = exchanges.get(name)
  if (exchange === undefined) throw new Error(`there is no ${name}.json`)
  played.add(name)
  const filled = JSON.parse(
    JSON.stringify(exchange.request).replace(/\{([a-zA-Z]+)\}/g, (_all, key: string) => values[key] ?? ''),
  ) as Exchange['request']
  const { method, path, headers, body } = filled
  return { ...(await edge.call(undefined, `${method} ${path}`, body, headers)), expected: exchange.answer }
}

const devicesOf = async (user: string) =>
  list((await edge.call(admin, `GET /v1/users/${user}/devices`)).body.devices)

async function addressesOf(user: string): Promise<unknown[]> {
  const { rows } = await edge.owner.query<{ address: unknown }>({
    text: `SELECT address FROM devices WHERE tenant_id = 'acme' AND user_id = $1 ORDER BY kind`,
    values: [userId(sha256, 'acme', user)],
  })
  return rows.map(({ address }) => address)
}

t.test('an Android phone registers, rotates its token, moves to another person and signs out', async (t) => {
  const registered = await play('register-android', own)
  t.equal(registered.status, registered.expected)
  t.match(await devicesOf('ada'), [{ kind: 'fcm', app: 'driver', locale: 'de-AT', status: 'active' }])
  const again = await play('register-android', own)
  t.equal(again.status, 200, 'saying it again changes nothing')
  const rotated = await play('rotate-android', own)
  t.equal(rotated.status, rotated.expected)
  t.same(await addressesOf('ada'), [{ token: 'fcm-token-2' }], 'the old token is gone')
  t.equal((await play('rotate-android', { ...own, userToken: bob })).status, 201)
  t.same(await devicesOf('ada'), [], 'one phone does not ring for two')
  const gone = await play('sign-out', { ...own, userToken: bob })
  t.equal(gone.status, gone.expected)
  t.same(await devicesOf('bob'), [])
  t.equal((await play('sign-out', { ...own, userToken: bob })).status, 404, 'repeating it does no harm')
})

t.test('an iPhone registers with its environment, and its Live Activities', async (t) => {
  const early = await play('live-activity', own)
  t.equal(early.status, 404, 'a device comes first')
  const registered = await play('register-iphone', own)
  t.equal(registered.status, registered.expected)
  t.match(await addressesOf('ada'), [{ environment: 'sandbox', token: /^00fc13ad/ }])
  const begun = await play('live-activity', own)
  t.equal(begun.status, begun.expected)
  const ended = await play('live-activity-end', own)
  t.equal(ended.status, ended.expected)
  await play('sign-out', own)
})

t.test('a browser registers', async (t) => {
  const registered = await play('register-browser', own)
  t.equal(registered.status, registered.expected)
  t.match(await devicesOf('ada'), [{ kind: 'webpush' }])
  await play('sign-out', own)
})

t.test('acknowledgements need nothing but the token of the payload, and may come twice', async (t) => {
  const at = Date.now()
  const user = userId(sha256, 'acme', 'ada')
  const id = (row: string) =>
    runId(sha256, { firstSeenMs: at, eventRow: row, workflow: 'w', recipient: user })
  const [run, delivery] = [id('run'), id('delivery')]
  await edge.owner.query({
    text: `INSERT INTO deliveries (run_id, id, tenant_id, user_id, channel, lane, step, address_kind, address, status, created_at, updated_at)
      VALUES ($1, $2, 'acme', $3, 'push', 'normal', 0, 'device', 'd', 'sent', now(), now())`,
    values: [run, delivery, user],
  })
  const claims = { tenant: 'acme', notificationId: run, deliveryId: delivery, expiresAt: at + 3_600_000 }
  const rt = signReceiptToken(edge.receiptKey, claims)
  for (const name of ['acknowledge', 'acknowledge', 'acknowledge-action']) {
    const answer = await play(name, { rt })
    t.match(answer, { status: answer.expected, body: { accepted: 2, rejected: [] } })
  }
  const [delivered] = await edge.stored('RECEIPTS', 'rcp.push.delivered.acme')
  t.match(JSON.parse(delivered?.body ?? '{}'), {
    runId: run,
    deliveryId: delivery,
    status: 'delivered',
    by: 'device',
    at: Date.parse('2026-01-02T03:04:05.678Z'),
  })
  for (const status of ['opened', 'clicked', 'dismissed']) {
    t.ok((await edge.stored('RECEIPTS', `rcp.push.${status}.acme`)).length, status)
  }
  const forged = await play('acknowledge', { rt: `${rt}x` })
  t.match(forged, { status: 401, body: { code: 'RECEIPT_TOKEN_INVALID' } })
  t.match(forged.headers['content-type'], /^application\/problem\+json/, 'which helpers take for a last word')
})

t.test('the commands of the guides do what they say', async (t) => {
  const values: Record<string, string> = { CARILLON_API_KEY: admin, USER_TOKEN: ada }
  for (const guide of ['android', 'ios']) {
    const file = new URL(`../../../../docs/guides/${guide}.md`, import.meta.url)
    const [, commands = ''] =
      /<!-- played: curl -->\n```sh\n([\s\S]*?)```/.exec(await readFile(file, 'utf8')) ?? []
    const statuses: number[] = []
    for (const command of commands.trim().split('\n')) {
      const filled = command.replace(/\$([A-Z_]+)(?!\w)/g, (all, name: string) => values[name] ?? all)
      const method = /-X (\w+)/.exec(filled)?.[1] ?? 'GET'
      const path = /\$CARILLON_URL(\S+)/.exec(filled)?.[1]
      const headers = [...filled.matchAll(/-H (["'])([\w-]+): (.*?)\1/g)].map(([, , name, value]) => [
        name,
        value,
      ])
      const body = /-d '(.*)'$/.exec(filled)?.[1]
      const answer = await edge.call(undefined, `${method} ${path}`, body, Object.fromEntries(headers))
      statuses.push(answer.status)
      if (method === 'GET') t.match(list(answer.body.devices), [{ kind: 'fcm', app: 'driver' }])
    }
    t.same(statuses, guide === 'android' ? [200, 201, 200, 204] : [201, 204], guide)
  }
})

t.test('every request of the helpers was sent', async (t) => {
  t.same([...played].sort(), [...exchanges.keys()].sort())
})
