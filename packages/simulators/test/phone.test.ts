import { eventually } from '@carillon/testkit'
import Fastify, { type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import {
  connectControl,
  createPhone,
  createReceiptSender,
  networkOf,
  type PushKind,
  startControl,
  startSimulators,
} from '../src/index.js'
import { openApns, openFcm, openWebPush, reachOf } from './raw-clients.js'

interface Receipt {
  token: string
  status: string
  at: string
}

/** A stand-in for Carillon's gateway: devices by installation, receipts by token and status. */
async function startGateway(t: Test) {
  const app = Fastify()
  const devices = new Map<string, { kind: string; token?: string; endpoint?: string }>()
  const receipts: Receipt[] = []
  const calls: number[] = []
  /** Statuses that the next calls with receipts are answered. */
  const failures: (number | 'after')[] = []
  const onRequest = async ({ headers }: FastifyRequest) => {
    if (headers.authorization === 'Bearer ada') return
    throw Object.assign(new Error('who?'), { statusCode: 401 })
  }
  app.put('/v1/me/devices/:installation', { onRequest }, async (request, reply) => {
    const { installation } = request.params as { installation: string }
    const known = devices.has(installation)
    devices.set(installation, request.body as { kind: string })
    return reply.code(known ? 200 : 201).send({})
  })
  app.delete('/v1/me/devices/:installation', { onRequest }, async (request, reply) => {
    const { installation } = request.params as { installation: string }
    return reply.code(devices.delete(installation) ? 204 : 404).send()
  })
  app.post('/v1/receipts', async (request, reply) => {
    const given = (request.body as { receipts: Receipt[] }).receipts
    calls.push(given.length)
    const failure = failures.shift()
    if (typeof failure === 'number') return reply.code(failure).header('retry-after', '0').send({})
    const bad = given.flatMap((one, index) => (one.token.startsWith('bad') ? [index] : []))
    receipts.push(...given.filter((_, index) => !bad.includes(index)))
    // taken, and the answer is lost
    if (failure === 'after') return reply.raw.destroy()
    if (bad.length === given.length) return reply.code(401).send({ code: 'RECEIPT_TOKEN_INVALID' })
    const rejected = bad.map((index) => ({ index, code: 'NOT_FOUND', detail: '' }))
    return reply.code(202).send({ accepted: given.length - bad.length, rejected })
  })
  const gatewayUrl = await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  return {
    ...{ gatewayUrl, devices, calls, failures },
    /** `status token` of each receipt, in order of arrival. */
    said: () => receipts.map(({ status, token }) => `${status} ${token}`),
  }
}

async function startNetwork(t: Test) {
  const simulators = await startSimulators({ allow: 'development' })
  const server = await startControl(simulators)
  t.teardown(async () => {
    await server[Symbol.asyncDispose]()
    await simulators[Symbol.asyncDispose]()
  })
  return { simulators, control: connectControl(server.url) }
}

t.test(
  'a phone of each kind registers, receives, acknowledges, rotates its token and signs out',
  async (t) => {
    const gateway = await startGateway(t)
    const { simulators, control } = await startNetwork(t)
    const there = reachOf(await control.connection())
    using toFcm = await openFcm(there)
    using toApns = openApns(there)
    using toWebPush = openWebPush(there)
    const ring: Record<PushKind, (to: string, nid: string) => Promise<{ status: number }>> = {
      fcm: (token, nid) =>
        toFcm.send({ token, notification: { title: nid }, data: { nid, rt: `rt-${nid}` } }),
      apns: (to, nid) => toApns.send(to, { aps: { alert: nid }, nid, rt: `rt-${nid}` }),
      webpush: (to, nid) => {
        const device = simulators.webpush.device(to)
        if (!device) throw new Error('no such browser')
        return toWebPush.send(device, { notification: { title: nid, data: { nid, rt: `rt-${nid}` } } })
      },
    }
    const addressAt = (installation: string) => {
      const { token, endpoint } = gateway.devices.get(installation) ?? {}
      return token ?? endpoint?.split('/').at(-1)
    }
    // one of them is reached through the control server, as from another process
    const networks = { fcm: networkOf(simulators), apns: control, webpush: networkOf(simulators) }
    for (const kind of ['fcm', 'apns', 'webpush'] as const) {
      const { gatewayUrl } = gateway
      const network = networks[kind]
      const phone = await createPhone({ gatewayUrl, userToken: 'ada', kind, network, installation: kind })
      t.teardown(() => phone[Symbol.asyncDispose]())
      t.equal(addressAt(kind), phone.to)
      await ring[kind](phone.to, `${kind}-1`)
      const [first] = await eventually(() => phone.received.length === 1 && phone.received)
      if (!first) throw new Error('nothing received')
      t.same((await phone.screen()).length, 1)
      await phone.open(first)
      t.same(await phone.screen(), [])
      await eventually(() => gateway.said().includes(`opened rt-${kind}-1`))
      t.ok(gateway.said().includes(`delivered rt-${kind}-1`))

      const old = phone.to
      await phone.rotateToken()
      t.not(phone.to, old)
      t.equal(addressAt(kind), phone.to, 'the gateway has the new token')
      t.ok((await ring[kind](old, 'lost')).status >= 404, 'the old one is dead')
      await phone.setOnline(false)
      await ring[kind](phone.to, `${kind}-2`)
      await phone.dismiss(first)
      await phone.receipts.settled()
      t.notOk(gateway.said().includes(`dismissed rt-${kind}-1`), 'offline nothing is told')
      await phone.setOnline(true)
      await eventually(() => phone.received.length === 2)
      await phone.receipts.settled()
      t.same(gateway.said().slice(-2).sort(), [`delivered rt-${kind}-2`, `dismissed rt-${kind}-1`])
      await phone.signOut()
      await phone.signOut()
      t.equal(addressAt(kind), undefined)
    }
    const stranger = {
      userToken: 'eve',
      kind: 'fcm',
      network: networks.fcm,
      gatewayUrl: gateway.gatewayUrl,
    } as const
    await t.rejects(createPhone(stranger), { code: 'PHONE_REFUSED', status: 401 })
  },
)

t.test('receipts are sent in batches until each was accepted or refused for good', async (t) => {
  const { gatewayUrl, calls, failures, said } = await startGateway(t)
  const sender = createReceiptSender({ gatewayUrl, gatherMs: 5, maxBatch: 10 })
  t.teardown(() => sender[Symbol.asyncDispose]())
  const add = (token: string) => sender.add({ token, status: 'delivered', at: new Date().toISOString() })
  failures.push(503, 429, 'after')
  for (let n = 0; n < 25; n++) add(`rt-${n}`)
  add('rt-3')
  await sender.settled()
  t.same(calls, [10, 10, 10, 10, 10, 5], 'two answers say later, one is lost')
  t.equal(new Set(said()).size, 25)
  t.equal(said().length, 35, 'what was taken without an answer came again')
  t.equal(sender.accepted, 25)

  add('bad-1')
  add('rt-30')
  await sender.settled()
  add('bad-2')
  await sender.settled()
  t.match(sender.refused, [
    { token: 'bad-1', reason: 'NOT_FOUND' },
    { token: 'bad-2', reason: 'RECEIPT_TOKEN_INVALID' },
  ])
  t.equal(sender.accepted, 26)

  failures.push(...Array.from({ length: 100 }, () => 503))
  add('rt-40')
  await eventually(() => failures.length < 100)
  await sender[Symbol.asyncDispose]()
  await sender.settled()
  t.equal(sender.accepted, 26, 'disposed, it stops asking')
})
