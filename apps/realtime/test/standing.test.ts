import { type StandingQuestion, userId } from '@carillon/contracts'
import { answerQuestions } from '@carillon/jetstream'
import { sha256 } from '@carillon/service'
import { eventually } from '@carillon/testkit'
import { Centrifuge } from 'centrifuge'
import t from 'tap'
import WebSocket from 'ws'
import { signToken, useLive, useNode } from './mesh.js'

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
