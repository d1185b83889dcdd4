import { MAX_STANDING_USERS, STANDING_SUBJECT, type StandingQuestion, userId } from '@carillon/contracts'
import { answerQuestions, type Connection } from '@carillon/jetstream'
import { sha256 } from '@carillon/service'
import { eventually } from '@carillon/testkit'
import { Centrifuge } from 'centrifuge'
import t from 'tap'
import WebSocket from 'ws'
import { type Holder, Standing } from '../src/access/standing.js'
import { answerRules, PATIENT_MS, signToken, useLive, useNode } from './mesh.js'

/** Answers as gateways do, from when it resolves; `fallen` says who of the asked is. */
async function answerStanding(
  t: { teardown(close: () => unknown): void },
  connection: Connection,
  fallen: (users: string[]) => string[],
): Promise<void> {
  const answering = answerQuestions(
    connection,
    STANDING_SUBJECT,
    { onFailure: (error) => Promise.reject(error) },
    (question) => {
      const { tenants } = question as StandingQuestion
      return { fallen: fallen(Object.values(tenants).flat()) }
    },
  )
  t.teardown(() => answering.drain())
  await connection.flush()
}

t.test('who is suspended loses every connection within seconds, and gets no new one', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  const anna = userId(sha256, 'acme', 'anna')
  const fallen = new Set<string>()
  await answerStanding(t, connection, (users) => users.filter((user) => fallen.has(user)))
  const disconnected = (user: string) => {
    const client = new Centrifuge(`${node.url.replace('http', 'ws')}/v1/connection/websocket`, {
      websocket: WebSocket,
      getToken: () => signToken({ user }),
      timeout: PATIENT_MS,
    })
    t.teardown(() => client.disconnect())
    const codes: number[] = []
    client.on('disconnected', ({ code }) => codes.push(code))
    client.connect()
    return { client, codes }
  }
  const first = disconnected('anna')
  const other = disconnected('ben')
  await Promise.all([first.client.ready(PATIENT_MS), other.client.ready(PATIENT_MS)])
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

t.test('people of many tenants share a question, and a lost one shields nobody else', async (t) => {
  const questions: StandingQuestion[] = []
  const ids = (tenant: string, count: number) =>
    Array.from({ length: count }, (_, n) => ({ tenant, userId: userId(sha256, tenant, `${n}`) }))
  // also one whose name every object knows
  const people = [...ids('acme', 1), ...ids('constructor', 1), ...ids('globex', MAX_STANDING_USERS)]
  const standing = new Standing({
    now: Date.now,
    ask: async (subject, question) => {
      t.equal(subject, STANDING_SUBJECT)
      questions.push(question)
      if (question.tenants.acme === undefined) throw new Error('nobody answers')
      return { fallen: question.tenants.constructor }
    },
  })
  const fallen = await standing.fallen([...people, ...people])
  t.same([...fallen], [userId(sha256, 'constructor', '0')])
  t.same(
    questions.map(({ tenants }) => Object.values(tenants).flat().length),
    [MAX_STANDING_USERS, 2],
    'nobody is asked about twice',
  )
  t.same(Object.keys(questions[0]?.tenants ?? {}), ['acme', 'constructor', 'globex'])
})

t.test('who was sent away is asked about again before they may come back', async (t) => {
  let now = 0
  let answer: 'fallen' | 'stands' | 'nothing' = 'fallen'
  let asked = 0
  const ben = { tenant: 'acme', userId: userId(sha256, 'acme', 'ben') }
  const standing = new Standing({
    now: () => now,
    ask: async () => {
      asked++
      if (answer === 'nothing') throw new Error('nobody answers')
      return { fallen: answer === 'fallen' ? [ben.userId] : [] }
    },
  })
  t.equal(await standing.admits(ben), true, 'whom nobody has looked at yet')
  t.equal(asked, 0)
  await standing.fallen([ben])
  for (let times = 0; times < 3; times++) {
    t.equal(await standing.admits(ben), false)
    now += 31_000
    t.equal(await standing.admits(ben), false, 'however often they come')
  }
  t.equal(asked, 4, 'not more often than every half minute')
  now += 31_000
  answer = 'nothing'
  t.equal(await standing.admits(ben), true, 'while nobody answers')
  answer = 'fallen'
  t.equal(await standing.admits(ben), false)
  now += 31_000
  answer = 'stands'
  t.equal(await standing.admits(ben), true)
  asked = 0
  t.equal(await standing.admits(ben), true)
  t.equal(asked, 0, 'and then nobody asks any more')
})

t.test('who is suspended says nothing over HTTP either, connected or not', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  await answerRules(t, connection, [])
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
  const ben = userId(sha256, 'acme', 'ben')
  await answerStanding(t, connection, (users) => users.filter((user) => user === ben))
  for (let n = 0; n < 5; n++) t.equal(await say('cleo'), 200)
  for (let n = 0; n < 5; n++) t.equal(await say('ben'), 403)
})

t.test('what was answered of who says something over HTTP holds for a moment', async (t) => {
  let now = 0
  const asked: string[] = []
  const [ben, cleo] = ['ben', 'cleo'].map((user) => ({ tenant: 'acme', userId: user })) as [Holder, Holder]
  const standing = new Standing({
    now: () => now,
    ask: async (_subject, { tenants }) => {
      const users = tenants.acme ?? []
      asked.push(...users)
      return { fallen: users.filter((user) => user === 'ben') }
    },
  })
  for (let n = 0; n < 5; n++, now += 1_000) {
    t.equal(await standing.stands(cleo), true)
    t.equal(await standing.stands(ben), false)
  }
  t.same(asked, ['cleo', 'ben'])
  t.equal(await standing.stands(cleo), true)
  t.same(asked, ['cleo', 'ben', 'cleo'], 'asked again after five seconds')
})
