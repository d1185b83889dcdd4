import { createHmac } from 'node:crypto'
import { type AuthoriseQuestion, connectHttp, connectNats } from '@carillon/sdk'
import { eventually } from '@carillon/testkit'
import t from 'tap'
import { TENANT, useWorld } from './world.js'

const world = await useWorld(t)
const carillon = connectHttp({ url: world.url, apiKey: world.apiKey, source: '/services/rides' })
const rides = await connectNats({ servers: world.nats.url, tenant: TENANT, source: '/services/rides' })
t.teardown(() => rides[Symbol.asyncDispose]())

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
/** What a person says by their own token, and a token for the channel if given. */
const say = async (token: string, channel: string, data: object, own?: string) => {
  const answer = await fetch(`${world.url}/v1/me/channels/${channel}/publish`, {
    method: 'POST',
    headers: { ...bearer(token), 'content-type': 'application/json' },
    body: JSON.stringify({ data, ...(own === undefined ? {} : { token: own }) }),
  })
  return { status: answer.status, text: await answer.text() }
}
/** Listens to channels; gives the answer's status and all that came so far. */
const listen = async (token: string, ...channels: string[]) => {
  const query = channels.map((channel) => `channel=${encodeURIComponent(channel)}`).join('&')
  const stopping = new AbortController()
  t.teardown(() => stopping.abort())
  const answer = await fetch(`${world.url}/v1/sse?${query}`, {
    headers: bearer(token),
    signal: stopping.signal,
  })
  const stream = { status: answer.status, text: '', ended: false }
  const read = async () => {
    for await (const chunk of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) stream.text += chunk
    stream.ended = true
  }
  // it ends when the test does
  read().catch(() => undefined)
  await eventually(() => !answer.ok || stream.text.includes('event: ready'))
  return stream
}

t.test('what servers publish is heard by whom tokens and services let in, and by nobody else', async (t) => {
  const asked: AuthoriseQuestion[] = []
  rides.answerChannels({ namespace: 'ride', onFailure: () => undefined }, async (question) => {
    asked.push(question)
    if (question.user === 'eve') throw new Error('the database is away')
    return {
      allow: question.user === 'bob' && question.action === 'subscribe',
      permissions: [],
      info: { seat: 1 },
    }
  })
  const schema = { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] }
  await carillon.putChannelRule('ride', { authorise: true, schema })
  const channels = { 'room:ride-*': ['subscribe', 'publish'], 'latest:ride-9': ['subscribe'] } as const
  const { token: ada } = await carillon.userToken('ada', { channels })
  const { token: bob } = await carillon.userToken('bob')
  const { token: eve } = await carillon.userToken('eve')

  const heard = await listen(ada, 'room:ride-9', 'latest:ride-9')
  t.equal(heard.status, 200)
  t.same(asked, [], 'nobody is asked about whom a token lets in')
  const heardByBob = await listen(bob, 'room:ride-9')
  t.equal(heardByBob.status, 200, 'the service knows him')
  t.same(asked, [{ channel: 'room:ride-9', user: 'bob', action: 'subscribe' }])
  t.equal((await listen(eve, 'room:ride-9')).status, 503, 'nobody could say')
  t.equal((await listen(bob, 'latest:chat-1')).status, 403)

  const { offset } = await carillon.publishTo('room:ride-9', { text: 'from the server' }, { from: 'mira' })
  await carillon.publishTo('latest:ride-9', { text: 'position 1' }, { key: 'driver' })
  await eventually(() => /from the server[^\n]*mira|mira[^\n]*from the server/.test(heard.text))
  await eventually(() => heard.text.includes('position 1'))
  await eventually(() => heardByBob.text.includes('from the server'))
  t.notMatch(heardByBob.text, 'position 1')

  t.match(await say(ada, 'room:ride-9', { text: 'from ada' }), { status: 200 })
  t.match(await say(ada, 'room:ride-9', { text: 5 }), { status: 422, text: /CHANNEL_DATA_INVALID/ })
  t.match(await say(ada, 'latest:ride-9', { text: 'x' }), { status: 403 }, 'listening is not speaking')
  t.match(await say(bob, 'room:ride-9', { text: 'from bob' }), { status: 403 })
  t.match(asked.at(-1), { user: 'bob', action: 'publish', data: { text: 'from bob' } })
  const { token: once } = await carillon.channelToken('bob', 'room:ride-9', {
    permissions: ['publish', 'subscribe'],
  })
  t.match(await say(bob, 'room:ride-9', { text: 'by token' }, once), { status: 200 })
  t.match(await say(bob, 'room:ride-8', { text: 'elsewhere' }, once), { status: 403 }, 'for one channel')
  t.match(await say(eve, 'room:ride-9', { text: 'stolen' }, once), { status: 403 }, 'for one user')
  t.equal(
    (await say(once, 'room:ride-9', { text: 'signed in' })).status,
    401,
    'a token for a channel signs nobody in',
  )
  t.equal((await listen(once, 'room:ride-9')).status, 401)

  const { publications } = await carillon.channelHistory(
    'room:ride-9',
    offset === undefined ? {} : { since: offset },
  )
  t.match(publications, [
    { data: { text: 'from ada' }, info: { user: 'ada' } },
    { data: { text: 'by token' }, info: { user: 'bob' } },
  ])
})

t.test('a changed rule is in force for clients soon', async (t) => {
  const { token } = await carillon.userToken('ada', {
    channels: { 'room:typed-1': ['subscribe', 'publish'] },
  })
  t.match(await say(token, 'room:typed-1', { n: 1 }), { status: 200 })
  await carillon.putChannelRule('typed', { schema: { type: 'object', required: ['text'] } })
  await eventually(async () => (await say(token, 'room:typed-1', { n: 2 })).status === 422, {
    everyMs: 250,
  })
  t.pass('it is looked at again every ten seconds')
})

/** A token as a service of the installation's owner may sign it, for somebody nobody has stored. */
const signed = (user: string) => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1_000)
  const claims = { iss: 'carillon', aud: 'carillon', sub: user, tid: TENANT, iat: now, exp: now + 600 }
  const text = `${part({ alg: 'HS256' })}.${part(claims)}`
  const key = Buffer.from(world.tokenKey, 'base64url')
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
}

t.test('who is deleted loses every connection until they are made again, and nobody else does', async (t) => {
  const admin = { ...bearer(world.apiKey), 'content-type': 'application/json' }
  const user = (method: string, body?: object) =>
    fetch(`${world.url}/v1/users/zoe`, {
      method,
      headers: body === undefined ? bearer(world.apiKey) : admin,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  t.equal((await user('PUT', {})).status, 201)
  const { token: zoe } = await carillon.userToken('zoe')
  const [first, second] = [await listen(zoe, 'user'), await listen(zoe, 'user')]
  const { token: ada } = await carillon.userToken('ada')
  const others = [await listen(ada, 'user'), await listen(signed('nobody stored this one'), 'user')]
  t.same(
    [first, second, ...others].map(({ status }) => status),
    [200, 200, 200, 200],
  )
  t.equal((await user('DELETE')).status, 204)
  await eventually(() => first.ended && second.ended, { timeoutMs: 60_000 })
  t.equal((await listen(zoe, 'user')).status, 403)
  t.same(
    others.map(({ ended }) => ended),
    [false, false],
    'a user nobody has stored is nobody who was deleted',
  )
  t.equal((await user('PUT', {})).status, 201)
  // what was found once holds for half a minute
  await eventually(async () => (await listen(zoe, 'user')).status === 200, {
    timeoutMs: 90_000,
    everyMs: 500,
  })
})
