import { once } from 'node:events'
import type { ClientHttp2Session } from 'node:http2'
import { eventually } from '@carillon/testkit'
import t, { type Test } from 'tap'
import {
  connectControl,
  type FaultRuleData,
  type SimulatedMessage,
  startControl,
  startSimulators,
} from '../src/index.js'
import { openApns, openFcm } from './raw-clients.js'

/** Simulators in this process, steered over the control server as if they were elsewhere. */
async function start(t: Test) {
  const simulators = await startSimulators({ allow: 'development' })
  const server = await startControl(simulators)
  t.teardown(async () => {
    await server[Symbol.asyncDispose]()
    await simulators[Symbol.asyncDispose]()
  })
  return { simulators, control: connectControl(server.url), url: server.url }
}

/** Resolves whether or not an error came first. */
const closed = (session: ClientHttp2Session) =>
  new Promise<void>((resolve) => session.once('close', () => resolve()))

t.test('fault rules are data: whom, how many, after how many, how often, and what', async (t) => {
  const { simulators, control } = await start(t)
  using wire = await openFcm(simulators)
  const token = (name: string) => simulators.fcm.registerDevice({ token: name.padEnd(40, '-') }).token
  const status = async (to: string) => (await wire.send({ token: to, notification: { title: 'x' } })).status
  const [ada, bob] = [token('ada'), token('bob')]

  await control.addFaults('fcm', { match: { target: ada }, after: 1, times: 2, reply: { status: 500 } })
  t.same([await status(ada), await status(bob), await status(ada), await status(ada)], [200, 200, 500, 500])
  t.equal(await status(ada), 200, 'used up')
  t.match(await control.faults('fcm'), { broken: false, rules: [{ after: 0, times: 0 }] })

  await control.clearFaults('fcm')
  await control.addFaults('fcm', {
    match: { prefix: 'bo' },
    reply: { status: 503, headers: { 'retry-after': '7' } },
  })
  t.match(await wire.send({ token: bob, notification: {} }), { status: 503, headers: { 'retry-after': '7' } })
  t.equal(await status(ada), 200)

  t.match(await control.break('fcm', { status: 502 }), { broken: true })
  t.equal(await status(ada), 502)
  t.match(await control.heal('fcm'), { broken: false, rules: [] })
  t.equal(await status(bob), 200)

  await control.break('fcm/token')
  using tokenless = await openFcm(simulators)
  t.equal((await tokenless.send({})).status, 401, 'no access token, no message')
  t.equal(await status(ada), 200, 'the one that was issued goes on')
  await control.heal('fcm/token')
  t.equal((await fetch(`${control.url}/faults/fcm/pigeon`)).status, 404)

  await control.addFaults('fcm', { times: 1, reply: { status: 503, headers: { 'no header': 'x' } } })
  t.match(await wire.send({ token: bob }), { status: 500 }, 'what no HTTP can say is a failure, not the end')
  await control.clearFaults('fcm')
  for (const wrong of [
    { reply: 'explode' },
    { reply: { status: 42 } },
    { reply: 'hang', times: -1 },
    { reply: 'hang', match: { percent: 101 } },
    { reply: 'hang', when: 'always' },
    {},
  ]) {
    await t.rejects(control.addFaults('fcm', wrong as FaultRuleData), { code: 'CONTROL_FAILED', status: 400 })
  }
  t.same((await control.faults('fcm')).rules, [], 'a wrong rule changes nothing')
})

t.test('a share is the same in every run, and about as large as was said', async (t) => {
  const hit = async (seed: string, of: 'targets' | 'requests') => {
    const { simulators } = await start(t)
    const { faults } = simulators.fcm
    faults.rules.push({ match: { percent: 20, seed, of }, reply: 'hang' })
    const hits: string[] = []
    for (let round = 0; round < 2; round++)
      for (let n = 0; n < 500; n++) if (await faults.take(`token-${n}`)) hits.push(`${round}:${n}`)
    return hits
  }
  const targets = await hit('a', 'targets')
  t.same(await hit('a', 'targets'), targets)
  t.notSame(await hit('b', 'targets'), targets)
  t.ok(targets.length > 140 && targets.length < 260, `${targets.length} of 1000`)
  const rounds = [0, 1].map((round) =>
    targets.filter((one) => one.startsWith(`${round}:`)).map((one) => one.slice(2)),
  )
  t.same(rounds[0], rounds[1], 'an address is always hit or never')
  const requests = await hit('a', 'requests')
  t.same(await hit('a', 'requests'), requests)
  t.ok(requests.length > 140 && requests.length < 260, `${requests.length} of 1000`)
  t.notOk(
    requests.filter((one) => one.startsWith('0:')).every((one) => requests.includes(one.replace('0:', '1:'))),
    'the next request to an address is another choice',
  )
})

t.test('connections end in every way a network knows', async (t) => {
  const { simulators, control } = await start(t)
  const { token } = simulators.apns.registerDevice()
  const push = (wire: ReturnType<typeof openApns>) => wire.send(token, { aps: { alert: 'x' } })
  for (const reply of ['fin', 'reset', 'refuse'] as const) {
    using wire = openApns(simulators)
    await push(wire)
    await control.addFaults('apns', { times: 1, reply })
    await t.rejects(push(wire), reply)
  }
  using leaving = openApns(simulators)
  const goodbye = once(leaving.session, 'goaway')
  const left = closed(leaving.session)
  await control.addFaults('apns', { times: 1, reply: 'goaway' })
  t.equal((await push(leaving)).status, 200, 'what is in flight is answered')
  await goodbye
  await left
  using slow = openApns(simulators)
  await control.addFaults('apns', { times: 1, reply: { latencyMs: 60 } }, { times: 1, reply: { dripMs: 5 } })
  for (const least of [55, 5 * '{"reason":"BadDeviceToken"}'.length - 10]) {
    const began = performance.now()
    t.match(await slow.send('ab'.repeat(32), { aps: {} }), { body: { reason: 'BadDeviceToken' } })
    t.ok(performance.now() - began > least)
  }
  using cut = openApns(simulators)
  await push(cut)
  const ended = closed(cut.session)
  await control.cut('apns', 'rst')
  await ended
  t.equal((await control.counters()).apns.other.sends, 10)
})

t.test('devices, messages and settings are steered from outside', async (t) => {
  const { simulators, control, url } = await start(t)
  const arrived: SimulatedMessage[] = []
  const following = await control.follow((message) => arrived.push(message))
  t.teardown(() => following[Symbol.asyncDispose]())
  using wire = await openFcm(simulators)
  const device = await control.registerDevice('fcm', { name: 'Pixel' })
  const send = (title: string, nid: string) =>
    wire.send({ token: device.to, notification: { title }, data: { nid } })
  await control.changeDevice('fcm', device.to, { online: false })
  await send('one', 'n1')
  t.match(await control.device('fcm', device.to), { online: false, stored: 1, received: 0 })
  await control.changeDevice('fcm', device.to, { online: true })
  await send('two', 'n2')
  await eventually(() => arrived.length === 2)
  t.match(arrived, [{ title: 'one' }, { title: 'two' }])
  t.match(await control.messages({ provider: 'fcm', nid: 'n2' }), [{ title: 'two' }])
  t.match(await control.messages({ after: arrived[0]?.id ?? '' }), [{ title: 'two' }])
  t.match(await control.messages({ limit: 1 }), [{ title: 'two' }])
  t.match(await control.changeDevice('fcm', device.to, { dismiss: 'n1' }), { screen: [{ nid: 'n2' }] })
  t.match(await control.devices('fcm'), [{ name: 'Pixel', received: 2 }])
  await control.changeDevice('fcm', device.to, { unregistered: true })
  t.equal((await send('three', 'n3')).status, 404)

  t.match(await control.settings('fcm', { latencyMs: 1, limits: { projectPerMinute: 0 } }), {
    latencyMs: 1,
    limits: { projectPerMinute: 0 },
  })
  t.equal((await send('four', 'n4')).status, 429)
  t.same(await control.settings('fcm', { latencyMs: 0, limits: { projectPerMinute: null } }), {
    latencyMs: 0,
    limits: {},
  })
  await t.rejects(control.settings('fcm', { limits: { strange: 1 } }), {
    code: 'CONTROL_FAILED',
    status: 400,
  })
  t.match(await control.counters(), {
    fcm: { accepted: 2, byStatus: { 404: 1, 429: 1 } },
    sms: { requests: 0 },
  })
  await control.reset()
  t.match(await control.counters(), { fcm: { accepted: 0, received: 0, requests: 0, byStatus: {} } })
  t.same(await control.messages(), [])
  t.match(await control.device('fcm', device.to), { state: 'unregistered', screen: [], received: 0 })

  t.equal(await control.device('fcm', 'nobody'), undefined)
  t.equal((await fetch(`${url}/faults/pigeon`)).status, 404)
  t.equal((await fetch(`${url}/counters`, { headers: { origin: 'https://evil.example' } })).status, 403)
  const elsewhere = connectControl('http://127.0.0.1:1')
  await t.rejects(elsewhere.counters(), { code: 'CONTROL_FAILED', status: 0 })
})
