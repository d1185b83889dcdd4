import { type StandingQuestion, userId } from '@carillon/contracts'
import { answerQuestions } from '@carillon/jetstream'
import { sha256 } from '@carillon/service'
import { eventually } from '@carillon/testkit'
import { Centrifuge } from 'centrifuge'
import t from 'tap'
import WebSocket from 'ws'
import { answerRules, signToken, useLive, useNode } from './mesh.js'

t.test('who is suspended loses every connection within seconds, and gets no new one', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  const anna = userId(sha256, 'acme', 'anna')
  const fallen = new Set<string>()
  const answering = answerQuestions(
    connection,
    'ask.standing.acme',
    { onFailure: (error) => Promise.reject(error) },
    (question) => ({ fallen: (question as StandingQuestion).users.filter((user) => fallen.has(user)) }),
  )
  t.teardown(() => answering.drain())
  const disconnected = (user: string) => {
    const client = new Centrifuge(`${node.url.replace('http', 'ws')}/v1/connection/websocket`, {
      websocket: WebSocket,
      getToken: () => signToken({ user }),
    })
    t.teardown(() => client.disconnect())
    const codes: number[] = []
    client.on('disconnected', ({ code }) => codes.push(code))
    client.connect()
    return { client, codes }
  }
  const first = disconnected('anna')
  const other = disconnected('ben')
  await Promise.all([first.client.ready(5_000), other.client.ready(5_000)])
  const authorization = `Bearer ${await signToken()}`
  const open = () => fetch(`${node.url}/v1/sse`, { headers: { authorization } })
  const stream = await open()
  t.equal(stream.status, 200)

  fallen.add(anna)
  await eventually(() => first.codes.length === 1)
  t.same(first.codes, [3503], 'for good: the client does not come back')
  await stream.text()
  t.equal((await open()).status, 403)
  const again = disconnected('anna')
  await eventually(() => again.codes.length === 1)
  t.same(again.codes, [3503])
  t.equal(other.client.state, 'connected', 'nobody else is touched')
})

t.test('no tenant that nobody answers for shields the suspended of another', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  const connected = (tenant: string) => {
    const client = new Centrifuge(`${node.url.replace('http', 'ws')}/v1/connection/websocket`, {
      websocket: WebSocket,
      getToken: () => signToken({ tenant }),
    })
    t.teardown(() => client.disconnect())
    client.connect()
    return client
  }
  const [suspended, stays] = [connected('acme'), connected('globex')]
  await Promise.all([suspended.ready(5_000), stays.ready(5_000)])
  const answering = answerQuestions(
    connection,
    'ask.standing.acme',
    { onFailure: (error) => Promise.reject(error) },
    (question) => ({ fallen: (question as StandingQuestion).users }),
  )
  t.teardown(() => answering.drain())
  await eventually(() => suspended.state === 'disconnected')
  t.equal(stays.state, 'connected')
})

t.test('who is suspended says nothing over HTTP either, connected or not', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  answerRules(t, connection, [])
  const say = async (user: string) => {
    const token = await signToken({ user, channels: { 'room:a': ['publish'] } })
    const response = await fetch(`${node.url}/v1/me/channels/room:a/publish`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ data: {} }),
    })
    return response.status
  }
  t.equal(await say('anna'), 200, 'while nobody can say who is suspended')
  const asked: number[] = []
  const ben = userId(sha256, 'acme', 'ben')
  const answering = answerQuestions(
    connection,
    'ask.standing.acme',
    { onFailure: (error) => Promise.reject(error) },
    (question) => {
      const { users } = question as StandingQuestion
      asked.push(users.length)
      return { fallen: users.filter((user) => user === ben) }
    },
  )
  t.teardown(() => answering.drain())
  for (let n = 0; n < 5; n++) t.equal(await say('cleo'), 200)
  for (let n = 0; n < 5; n++) t.equal(await say('ben'), 403)
  t.same(asked, [1, 1], 'what was answered holds for a moment')
})
