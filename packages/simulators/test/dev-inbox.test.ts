import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { eventually, useChromium } from '@carillon/testkit'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import {
  devInbox,
  type SimulatedMessage,
  type SimulatedProvider,
  type StartSimulatorsOptions,
  startSimulators,
} from '../src/index.js'
import { receive } from '../src/receiver.js'

/** A stand-in for Carillon's own API under the page: an inbox, its SSE and receipts. */
async function startPage(t: Test) {
  const simulators = await startSimulators({ allow: 'development' })
  const app = Fastify()
  const items: { id: string; title: string; body: string; createdAt: string }[] = []
  const streams = new Set<ServerResponse>()
  const receipts: { token: string; status: string }[] = []
  let connections = 0
  const phones = {
    fcm: simulators.fcm.registerDevice({ name: 'Pixel' }),
    apns: simulators.apns.registerDevice({ name: 'iPhone' }),
    webpush: simulators.webpush.registerDevice({ name: 'Laptop' }),
  }
  /** As the provider's server brings it. */
  const bring = (provider: SimulatedProvider, message: Partial<SimulatedMessage>) => {
    const phone = provider in phones ? phones[provider as keyof typeof phones] : undefined
    const to = phone === undefined ? 'ana' : 'id' in phone ? phone.id : phone.token
    const arriving = {
      device: phone?.name ?? 'ana',
      to,
      title: '',
      body: '',
      silent: false,
      raw: {},
      provider,
    }
    simulators.inbox.add({ ...arriving, ...message }, (arrived) => {
      if (phone) receive(phone, arrived, { received: 0, repeated: 0, shownTwice: 0 })
    })
  }
  const ring = async () => {
    const nid = randomUUID()
    const at = Date.now()
    const item = {
      id: nid,
      title: 'Your driver is here',
      body: 'Corner of Main',
      createdAt: new Date().toISOString(),
    }
    items.push(item)
    const frame = { type: 'notification.created', id: nid, notification: item }
    for (const stream of streams) stream.write(`id: ${items.length}\ndata: ${JSON.stringify(frame)}\n\n`)
    for (const provider of ['fcm', 'apns', 'webpush', 'smtp', 'sms', 'webhook'] as const) {
      if (!simulators[provider].faults.broken)
        bring(provider, { nid, rt: `rt-${nid}-${provider}`, title: item.title, body: item.body })
    }
    return { eventId: nid, at }
  }
  await app.register(devInbox, {
    simulators,
    ring,
    session: async () => ({
      token: 'user-token',
      user: 'Ana',
      curl: 'curl -X POST',
      workflowFile: 'hello.yaml',
    }),
    edge: {
      explain: async (id) =>
        items.some((item) => item.id === id) ? { text: `because ${id}`, data: { id } } : undefined,
      deliveries: async () => ({ deliveries: [] }),
      handInMail: async () => ({ outcome: 'bounced', detail: null }),
      suppressions: async () => [],
      liftSuppression: async () => undefined,
      mended: async () => undefined,
    },
  })
  app.get('/v1/inbox', async () => ({ notifications: items }))
  app.post('/v1/receipts', async (request) => {
    receipts.push(...(request.body as { receipts: typeof receipts }).receipts)
    return { accepted: receipts.length, rejected: [] }
  })
  app.get('/v1/sse', (request, reply) => {
    if (request.headers.authorization !== 'Bearer user-token') return reply.code(401).send()
    reply.hijack()
    connections++
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
    reply.raw.write('id: 0\nevent: ready\ndata: {"channels":{}}\n\n')
    streams.add(reply.raw)
    reply.raw.on('close', () => streams.delete(reply.raw))
    return reply
  })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(async () => {
    for (const stream of streams) stream.destroy()
    await app.close()
    await simulators[Symbol.asyncDispose]()
  })
  return { url, app, simulators, receipts, streams, ring, bring, phones, connections: () => connections }
}

t.test('simulators start only where somebody said that it is development', async (t) => {
  await t.rejects(startSimulators({} as StartSimulatorsOptions), /development/)
  await t.rejects(
    startSimulators({ allow: 'production' } as unknown as StartSimulatorsOptions),
    /development/,
  )
})

t.test('the dev inbox answers only its own page', async (t) => {
  const { app } = await startPage(t)
  const own = { 'x-carillon-dev': '1' }
  const page = await app.inject({ url: '/' })
  t.equal(page.statusCode, 200)
  t.match(page.headers['content-security-policy'], /script-src 'self'/)
  t.notMatch(page.body, /<script>|style=|onclick=/)
  t.equal((await app.inject({ url: '/dev/session', headers: { host: 'evil.example' } })).statusCode, 421)
  t.equal((await app.inject({ method: 'POST', url: '/dev/ring' })).statusCode, 403)
  t.equal(
    (await app.inject({ method: 'POST', url: '/dev/providers/fcm/explode', headers: own })).statusCode,
    404,
  )
  t.equal(
    (await app.inject({ method: 'POST', url: '/dev/providers/inbox/break', headers: own })).statusCode,
    404,
  )
  t.equal((await app.inject({ url: '/dev/explain/nothing' })).statusCode, 404)
  t.equal((await app.inject({ url: '/dev/page/..%2f..%2fpackage.json' })).statusCode, 404)
  const broken = await app.inject({ method: 'POST', url: '/dev/providers/fcm/break', headers: own })
  t.match(broken.json(), { broken: true })
  for (const path of ['webhook/break?how=revoked', 'fcm/break?how=sulk']) {
    const refused = await app.inject({ method: 'POST', url: `/dev/providers/${path}`, headers: own })
    t.equal(refused.statusCode, 404, path)
  }
  const healed = await app.inject({ method: 'POST', url: '/dev/providers/fcm/heal', headers: own })
  t.match(healed.json(), { broken: false })
})

t.test('in a browser', async (t) => {
  const browser = await useChromium(t)
  if (!browser) return
  const { url, streams, receipts, ring, connections } = await startPage(t)
  const page = await browser.newPage()
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(error.message))
  await page.goto(url)
  const cards = (bell: string) => page.locator(`[data-bell=${bell}] .message`)
  const until = (text: string, ready: () => Promise<boolean>) => eventually(ready).then(() => t.pass(text))

  await until('the session is shown', () => page.locator('#person').isVisible())
  await until('the inbox is connected', async () => connections() === 1)
  await page.click('#ring')
  await until('every bell rang', async () => (await page.locator('.bell.rang').count()) === 7)
  t.match(await page.locator('.bell.rang output').first().textContent(), /^\d+ ms$/, 'with its milliseconds')

  await page.locator('[data-bell=fcm] .open').first().click()
  await until('opening sends a receipt', async () => receipts.some(({ status }) => status === 'opened'))
  const delivered = () => receipts.filter(({ status }) => status === 'delivered').length
  await until('each device acknowledged by itself', async () => delivered() === 3)
  await until('and what was opened leaves the screen', async () => (await cards('fcm').count()) === 0)

  for (const stream of streams) stream.destroy()
  await ring()
  await until('it reconnects', async () => connections() >= 2)
  await until('what it missed is there', async () => (await cards('inbox').count()) === 2)
  await page.click('#ring')
  await until('and what comes', async () => (await cards('inbox').count()) === 3)
  const ids = await Promise.all((await cards('inbox').all()).map((card) => card.getAttribute('data-id')))
  t.equal(new Set(ids).size, 3, 'each once')

  await page.click('[data-bell=apns] .break')
  await until('the outage is shown', () => page.locator('[data-bell=apns] .outage').isVisible())
  await page.click('#ring')
  await until('the others ring', async () => (await page.locator('.bell.rang').count()) === 6)
  t.equal(await cards('apns').count(), 3)

  await page.locator('[data-bell=inbox] .buttons button:has-text("Why?")').first().click()
  await until('the reason is shown', () => page.locator('#why').isVisible())
  t.match(await page.inputValue('#why-text'), /^because /)
  await page.keyboard.press('Escape')
  await until('and closes by keyboard', () => page.locator('#why').isHidden())

  await page.setViewportSize({ width: 360, height: 700 })
  t.notOk(
    await page.evaluate('document.documentElement.scrollWidth > innerWidth'),
    'nothing overflows on a narrow screen',
  )
  t.same(problems, [])
})

t.test('a screen shows what is on it, and only that', async (t) => {
  const browser = await useChromium(t)
  if (!browser) return
  const { url, bring, phones, simulators, receipts } = await startPage(t)
  const page = await browser.newPage()
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(error.message))
  await page.goto(url)
  const iphone = page.locator('[data-bell=apns] .device').first()
  const cards = iphone.locator('.message')
  const aps = { badge: 7, sound: { name: 'bell.caf', critical: 1 }, 'interruption-level': 'critical' }
  bring('apns', {
    title: 'Two minutes',
    subtitle: 'Ride 1',
    tag: 'ride',
    nid: 'n1',
    rt: 'r1',
    url: 'javascript:document.title="taken"',
    actions: [{ id: 'call', title: 'Call' }],
    raw: { headers: {}, payload: { aps } },
  })
  await cards.getByText('Ride 1').waitFor()
  t.equal(await iphone.locator('.badge').textContent(), '7')
  t.match(await cards.locator('.facts').textContent(), /interruption critical.*sound bell\.caf.*critical yes/)

  await t.test('a tag replaces, and a clear takes away', async (t) => {
    bring('apns', { title: 'One minute', tag: 'ride', nid: 'n2', rt: 'r2', url: 'javascript:alert(1)' })
    await cards.getByRole('button', { name: 'One minute', exact: true }).waitFor()
    t.equal(await cards.count(), 1, 'in place of the one before')
    await cards.locator('.open').press('Enter')
    await eventually(async () => (await cards.count()) === 0)
    t.ok(receipts.some(({ token, status }) => token === 'r2' && status === 'opened'))
    t.equal(page.context().pages().length, 1, 'and what is no web address is never opened')
    bring('apns', { title: 'Here', nid: 'n3', rt: 'r3' })
    await cards.getByRole('button', { name: 'Here', exact: true }).waitFor()
    bring('apns', { clears: 'n3', silent: true, rt: 'r4' })
    await eventually(async () => (await cards.count()) === 0)
    await iphone.getByText('cleared: read elsewhere').waitFor()
    await eventually(() => receipts.some(({ token }) => token === 'r4'))
  })

  await t.test('a Live Activity is one card that changes', async (t) => {
    for (const minutes of [5, 4]) {
      bring('apns', { title: 'Live Activity', body: `{"minutes":${minutes}}`, tag: 'activity:x' })
    }
    await iphone.locator('.message.activity').getByText('minutes 4').waitFor()
    t.equal(await cards.count(), 1)
  })

  await t.test('a text message says what it costs', async (t) => {
    bring('sms', { title: '+1500', body: 'Grüße ☃', raw: { num_segments: '1' } })
    const facts = page.locator('[data-bell=sms] .message .facts').first()
    await facts.waitFor()
    t.match(await facts.textContent(), /segments 1 ?encoding UCS-2/)
  })

  await t.test('a payload is shown as it came', async () => {
    bring('webpush', { title: 'Decrypted', raw: { notification: { title: 'Decrypted' } } })
    const card = page.locator('[data-bell=webpush] .message').first()
    await card.getByText('Payload').click()
    const payload = card.getByLabel('The payload')
    await eventually(async () => (await payload.inputValue()).includes('"title": "Decrypted"'))
  })

  await t.test('clearing empties every screen, and an offline phone says so', async (t) => {
    await page.click('#clear')
    await eventually(async () => (await page.locator('.panel .message').count()) === 0)
    t.equal(phones.apns.screen.length, 0)
    await iphone.getByRole('switch').press('Space')
    await iphone.locator('.word', { hasText: 'offline' }).waitFor()
    t.equal(simulators.apns.device(phones.apns.token)?.online, false)
  })
  t.equal(await page.title(), 'Carillon · dev inbox')
  t.same(problems, [])
})
