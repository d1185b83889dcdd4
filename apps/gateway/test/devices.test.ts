import { createECDH, randomUUID } from 'node:crypto'
import { userId } from '@carillon/contracts'
import { sha256 } from '@carillon/service'
import t from 'tap'
import { text, useEdge } from './support.js'

const edge = await useEdge(t)
const admin = await edge.key('acme', 'admin')
await edge.call(admin, 'PUT /v1/users/ada', {})
const ada = text((await edge.call(admin, 'POST /v1/users/ada/token', {})).body.token)

async function push(of: { run: string; kind: string; status?: string; step?: number }): Promise<string> {
  const user = userId(sha256, 'acme', 'ada')
  const device = randomUUID()
  await edge.owner.query({
    text: `INSERT INTO devices (tenant_id, id, user_id, kind, address, address_hash) VALUES ('acme', $1, $2, $3, '{}', $4)`,
    values: [device, user, of.kind, Buffer.from(device)],
  })
  await edge.owner.query({
    text: `INSERT INTO deliveries (run_id, id, tenant_id, user_id, channel, lane, step, address_kind, address, status, created_at, updated_at)
      VALUES ($1, $2, 'acme', $3, 'push', 'normal', $6, 'device', $4, $5, now(), now())`,
    values: [of.run, randomUUID(), user, device, of.status ?? 'sent', of.step ?? 1],
  })
  return device
}

async function cleared(run: string): Promise<string[]> {
  const { rows } = await edge.owner.query<{ address: string }>({
    text: `SELECT address FROM deliveries WHERE run_id = $1 AND purpose = 'clear' AND status = 'queued' AND due_at <= now()`,
    values: [run],
  })
  return rows.map(({ address }) => address).sort()
}

t.test('what was read is taken off the phones that show it, once', async (t) => {
  const run = await edge.notify('acme', 'ada', 1)
  const phones = [await push({ run, kind: 'fcm' }), await push({ run, kind: 'apns', status: 'delivered' })]
  await push({ run, kind: 'webpush' })
  await push({ run, kind: 'fcm', status: 'failed' })
  t.equal((await edge.call(ada, `PUT /v1/inbox/${run}/seen`)).status, 204)
  t.same(await cleared(run), [], 'seen may still be read')
  t.equal((await edge.call(ada, `PUT /v1/inbox/${run}/read`)).status, 204)
  t.same(await cleared(run), phones.sort())
  t.equal((await edge.call(ada, `PUT /v1/inbox/${run}/archived`)).status, 204)
  t.same(await cleared(run), phones, 'and never twice')
})

t.test('a step that says so stays on the screen, and a silent one was never there', async (t) => {
  const run = await edge.notify('acme', 'ada', 2)
  const content = { 1: { options: { clearWhenSeen: false } }, 2: { options: { silent: true } }, 3: {} }
  await edge.owner.query({
    text: `UPDATE runs SET content = (content::jsonb || $2)::json WHERE id = $1`,
    values: [run, JSON.stringify(content)],
  })
  await push({ run, kind: 'fcm', step: 1 })
  await push({ run, kind: 'fcm', step: 2 })
  const shown = await push({ run, kind: 'fcm', step: 3 })
  t.match((await edge.call(ada, 'POST /v1/inbox/read-all')).body, { changed: 1 })
  t.same(await cleared(run), [shown])
})

t.test('a Live Activity is kept per device and name, and rotates', async (t) => {
  const route = 'v1/me/devices/phone/live-activities'
  const token = { token: '80d1f2a4c6e8' }
  t.equal((await edge.call(ada, `PUT /${route}/ride-42`, token)).status, 404, 'a device comes first')
  await edge.call(ada, 'PUT /v1/me/devices/phone', { kind: 'apns', token: '00ff00ff' })
  t.match(await edge.call(ada, `PUT /${route}/ride-42`, token), {
    status: 200,
    body: { activity: 'ride-42' },
  })
  t.match(await edge.call(ada, `PUT /${route}/ride-42`, { token: 'abcdef0123' }), { status: 200 })
  t.match(await edge.call(ada, `PUT /${route}/ride-42`, { token: 'no token' }), {
    status: 400,
    body: { field: 'token' },
  })
  const { rows } = await edge.owner.query({ text: 'SELECT activity, token FROM live_activities' })
  t.match(rows, [{ activity: 'ride-42', token: 'abcdef0123' }])
  for (let n = 0; n < 22; n++) await edge.call(ada, `PUT /${route}/ride-${n}`, token)
  const kept = await edge.owner.query({ text: 'SELECT FROM live_activities' })
  t.equal(kept.rowCount, 20, 'forgotten ones make room')
  t.equal((await edge.call(ada, `DELETE /${route}/ride-21`)).status, 204)
  t.equal((await edge.call(ada, `DELETE /${route}/ride-21`)).status, 404)
  await edge.call(ada, 'DELETE /v1/me/devices/phone')
  t.equal((await edge.owner.query({ text: 'SELECT FROM live_activities' })).rowCount, 0)
})

t.test('a browser is told what to subscribe with', async (t) => {
  t.equal((await edge.call(ada, 'GET /v1/me/webpush-key')).status, 404)
  const pair = createECDH('prime256v1')
  const publicKey = pair.generateKeys('base64url')
  // of 256 keys one begins with a zero, which is left away
  const scalar = Buffer.concat([Buffer.alloc(32), pair.getPrivateKey()]).subarray(-32)
  const privateKey = scalar.toString('base64url')
  const credentials = { subject: 'mailto:bells@example.com', publicKey, privateKey }
  t.equal((await edge.call(admin, 'PUT /v1/providers/webpush', { credentials })).status, 201)
  t.same((await edge.call(ada, 'GET /v1/me/webpush-key')).body, { publicKey })
  t.same((await edge.call(ada, 'GET /v1/me/webpush-key?app=driver')).body, { publicKey })
  t.equal((await edge.call(admin, 'GET /v1/me/webpush-key')).status, 403)
})
