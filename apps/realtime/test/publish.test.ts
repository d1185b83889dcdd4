import { HEADERS } from '@carillon/contracts'
import { subscribeCore } from '@carillon/jetstream'
import { eventually } from '@carillon/testkit'
import t from 'tap'
import { answerRules, signToken, useLive, useNode } from './mesh.js'
import { openSse } from './sse-client.js'

const ROOM = '/v1/me/channels/room:ride-9/publish'

t.test('who listens by SSE speaks over HTTP', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  await answerRules(t, connection, [{ namespace: 'ride', schema: { type: 'object', required: ['text'] } }])
  const say = async (path: string, body: unknown, token: string) => {
    const response = await fetch(`${node.url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const anna = await signToken({ channels: { 'room:ride-9': ['subscribe', 'publish'] } })
  const listener = await openSse(t, node.url, { token: anna, query: '?channel=room:ride-9' })
  const heard = () => listener.events.filter(({ type }) => type === 'room:ride-9')

  const said = await say(ROOM, { data: { text: 'hello' }, idempotencyKey: 'a' }, anna)
  t.equal(said.status, 200)
  t.same(await say(ROOM, { data: { text: 'hello' }, idempotencyKey: 'a' }, anna), said, 'said once')
  await say(ROOM, { data: { text: 'again' } }, anna)
  await eventually(() => heard().length === 2)
  t.match(
    heard().map(({ data }) => JSON.parse(data)),
    [
      { data: { text: 'hello' }, info: { user: 'anna' }, offset: said.body.offset },
      { data: { text: 'again' }, info: { user: 'anna' } },
    ],
  )

  const refused = async (body: unknown, token: string, path = ROOM) => {
    const { status, body: problem } = await say(path, body, token)
    return [status, problem.code]
  }
  t.same(await refused({ data: { word: 'x' } }, anna), [422, 'CHANNEL_DATA_INVALID'])
  t.same((await refused({ data: [] }, anna))[0], 400)
  t.same(await refused({ data: {} }, anna, '/v1/me/channels/user/publish'), [404, 'CHANNEL_UNKNOWN'])
  t.same(await refused({ data: {} }, anna, '/v1/me/channels/room:a.*/publish'), [404, 'CHANNEL_UNKNOWN'])
  t.same((await refused({ data: { text: 'x'.repeat(33_000) } }, anna))[0], 413)
  const ben = await signToken({ user: 'ben', rooms: ['ride-9'] })
  t.same(await refused({ data: { text: 'x' } }, ben), [403, 'CHANNEL_DENIED'])
  const token = await signToken({
    user: 'ben',
    channel: 'room:ride-9',
    permissions: ['publish'],
  })
  t.equal((await say(ROOM, { data: { text: 'let in by a token' }, token }, ben)).status, 200)
  t.same((await refused({ data: { text: 'x' } }, token))[0], 401, 'which is no token to sign in with')
})

t.test('a key belongs to its publisher, and long or odd names keep nobody from speaking', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  await answerRules(t, connection, [])
  const keys: (string | undefined)[] = []
  subscribeCore(connection, 'live.acme.latest.ride-9', (message) => keys.push(message.header(HEADERS.key)))
  await connection.flush()
  const say = async (user: string, channel: string, key?: string) => {
    const token = await signToken({ user, channels: { [channel]: ['publish'] } })
    const response = await fetch(`${node.url}/v1/me/channels/${channel}/publish`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ data: { x: 1 }, key }),
    })
    return response.status
  }
  const long = 'x'.repeat(200)
  for (const key of ['car:7/a%', 'Zo\u00eb', '\ud800', undefined])
    t.equal(await say('anna', 'latest:ride-9', key), 200)
  t.equal(await say(long, 'latest:ride-9'), 200)
  t.equal(await say('\ud800', 'latest:ride-9'), 200)
  t.equal(await say(long, 'room:ride-9'), 200)
  t.equal(await say('anna', 'latest:ride-9', long), 400, 'a key that is given has 128 characters')
  t.equal(await say('anna', 'room:ride-9', 'car-7'), 400, 'a room replaces nothing')
  await eventually(() => keys.length === 6)
  t.same(keys, [
    '@anna/car%3A7%2Fa%25',
    '@anna/Zo%C3%AB',
    '@anna/%EF%BF%BD',
    '@anna',
    `@${long}`,
    '@%EF%BF%BD',
  ])
})
